// The server's sentences, with their times and amounts as people read them. What they say stays.
import { memoryWords, parseMemory } from "./quantity";
import { moment, parseSpan, spanWords } from "./time";
import { measured } from "./units";

const TIME = /\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g;
/** Spans told to the millisecond, though they are longer than a second. */
const SPAN = /\b(?:\d+[dhms])+\d+ms\b/g;
const MEMORY = /\b\d{4,}Ki\b/g;
/** Numbers with more digits than any count, size or time has, and fractions with more than say something. */
const NUMBER = /(?<![\w.,/:@-])(?:\d{21,}(?:\.\d+)?|\d+\.\d{7,})(?![\w.]*\w)/g;
const ARROW = / -> /g;

/** What was and what is, with an arrow between them: the wire has what every terminal can show. */
export const arrows = (text: string): string => text.replace(ARROW, " → ");

/** Whether a text is to be typed in a terminal, and is no manifest. */
export const isCommand = (text: string): boolean => text.startsWith("atoll ");

/**
 * The same sentence at some moment: times in the reader's zone, spans, memory and long numbers
 * rounded, and an arrow that is one.
 */
export function readable(text: string, now: number): string {
  return arrows(text)
    .replace(TIME, (time) => moment(Date.parse(time), now))
    .replace(SPAN, (span) => spanWords(parseSpan(span)))
    .replace(NUMBER, (number) => measured(Number(number)))
    .replace(MEMORY, (amount) => memoryWords(parseMemory(amount)));
}
