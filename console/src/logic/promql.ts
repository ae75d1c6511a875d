// PromQL as an editor needs it: its tokens, where its grammar is broken, what could stand at the
// cursor, and selectors narrowed to one object. What a query means is the server's.

import { AGGREGATIONS, FUNCTIONS, GROUPING } from "./promql-words";

export type TokenKind =
  | "word"
  | "number"
  | "span"
  | "string"
  | "operator"
  | "bracket"
  | "comment"
  | "bad";

export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  readonly from: number;
  readonly to: number;
}

const MATCHING: readonly string[] = ["on", "ignoring", "group_left", "group_right"];
const LISTS = new Set([...GROUPING, ...MATCHING]);
const SETS = new Set(["and", "or", "unless", "atan2"]);
const AGGREGATION = new Set(AGGREGATIONS);

const isFunction = (word: string) => Object.hasOwn(FUNCTIONS, word.toLowerCase());
const isAggregation = (word: string) => AGGREGATION.has(word.toLowerCase());

const RULES: readonly (readonly [TokenKind, RegExp])[] = [
  ["comment", /#[^\n]*/y],
  ["span", /(?:\d+(?:ms|[smhdwy]))+(?![a-zA-Z0-9_])/y],
  ["number", /(?:0x[0-9a-fA-F]+|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)/y],
  ["string", /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`[^`]*`/y],
  ["word", /[a-zA-Z_:][a-zA-Z0-9_:]*/y],
  ["operator", /==|!=|=~|!~|>=|<=|[-+*/%^<>=,@:]/y],
  ["bracket", /[(){}[\]]/y],
];

export function tokens(text: string): Token[] {
  const found: Token[] = [];
  let at = 0;
  let ranged = false;
  while (at < text.length) {
    if (/\s/.test(text[at] as string)) {
      at += 1;
      continue;
    }
    // Names may begin with a colon; between square brackets it parts a range from its step.
    const colon = ranged && text[at] === ":";
    const token: Token = colon
      ? { kind: "operator", text: ":", from: at, to: at + 1 }
      : next(text, at);
    if (token.text === "[") ranged = true;
    if (token.text === "]") ranged = false;
    found.push(token);
    at = token.to;
  }
  return found;
}

function next(text: string, from: number): Token {
  for (const [kind, rule] of RULES) {
    rule.lastIndex = from;
    const match = rule.exec(text);
    if (match) return { kind, text: match[0], from, to: from + match[0].length };
  }
  // A string that is not closed reaches to the end of its line.
  const quoted = /["'`]/.test(text[from] as string);
  const line = text.indexOf("\n", from);
  const to = quoted ? (line < 0 ? text.length : line) : from + 1;
  return { kind: "bad", text: text.slice(from, to), from, to };
}

export interface Fault {
  readonly from: number;
  readonly to: number;
  readonly message: string;
}

/** A selector: where its name ends or its braces begin, so that a condition can be put in. */
interface Selector {
  readonly name: string | undefined;
  /** Where a further condition would stand. */
  readonly at: number;
  readonly braces: "none" | "empty" | "some";
  readonly labels: readonly string[];
}

export interface Parsed {
  readonly fault: Fault | undefined;
  readonly selectors: readonly Selector[];
}

class Broken extends Error {
  readonly fault: Fault;
  constructor(fault: Fault) {
    super(fault.message);
    this.fault = fault;
  }
}

/** Reads a query by its grammar. Whether types fit (a range where one is needed) is not seen. */
class Parser {
  private readonly list: readonly Token[];
  private readonly length: number;
  private at = 0;
  readonly selectors: Selector[] = [];

  constructor(text: string) {
    this.list = tokens(text).filter((t) => t.kind !== "comment");
    this.length = text.trimEnd().length;
  }

  whole(): void {
    this.expression();
    const rest = this.peek();
    if (rest) this.fail(rest, `an operator was expected before ${quote(rest)}`);
  }

  private peek(ahead = 0): Token | undefined {
    return this.list[this.at + ahead];
  }

  private is(text: string, ahead = 0): boolean {
    const token = this.peek(ahead);
    return token !== undefined && token.kind !== "string" && token.text.toLowerCase() === text;
  }

  private take(text: string): boolean {
    if (!this.is(text)) return false;
    this.at += 1;
    return true;
  }

  private need(text: string, where: string): Token {
    const token = this.peek();
    if (!token || !this.take(text)) this.fail(token, `${quoteText(text)} was expected ${where}`);
    return token as Token;
  }

  private fail(token: Token | undefined, message: string): never {
    if (token?.kind === "bad") {
      const open = /^["'`]/.test(token.text);
      const told = open ? "this text is not closed" : `${quote(token)} means nothing here`;
      throw new Broken({ from: token.from, to: token.to, message: told });
    }
    const end = this.length;
    throw new Broken(
      token
        ? { from: token.from, to: token.to, message }
        : { from: Math.max(0, end - 1), to: end, message: `${message}, but the query ends` },
    );
  }

  private expression(): void {
    this.unary();
    for (;;) {
      const token = this.peek();
      if (!token) return;
      const sign = token.kind === "operator" && /^(?:[-+*/%^]|==|!=|<=|>=|<|>)$/.test(token.text);
      const set = token.kind === "word" && SETS.has(token.text.toLowerCase());
      if (!sign && !set) return;
      this.at += 1;
      this.take("bool");
      for (const word of MATCHING) {
        if (!this.take(word)) continue;
        if (this.is("(")) this.names(word);
        else if (!word.startsWith("group"))
          this.fail(this.peek(), `"(" was expected after ${word}`);
      }
      this.unary();
    }
  }

  private unary(): void {
    while (this.take("-") || this.take("+"));
    this.primary();
    for (;;) {
      if (this.take("[")) {
        this.span("a span of time such as 5m was expected");
        if (this.take(":") && !this.is("]")) this.span("a span of time or ] was expected");
        this.need("]", "after the span");
      } else if (this.take("offset")) {
        this.take("-");
        this.span("a span of time was expected after offset");
      } else if (this.take("@")) {
        this.moment();
      } else return;
    }
  }

  private moment(): void {
    this.take("-");
    if (this.take("start") || this.take("end")) {
      this.need("(", "after start or end");
      this.need(")", "after (");
      return;
    }
    const token = this.peek();
    if (token?.kind !== "number") this.fail(token, "a time in seconds was expected after @");
    this.at += 1;
  }

  private span(message: string): void {
    const token = this.peek();
    if (token?.kind !== "span" && token?.kind !== "number") this.fail(token, message);
    this.at += 1;
  }

  private primary(): void {
    const token = this.peek();
    if (!token) this.fail(token, "something to measure was expected");
    if (["number", "span", "string"].includes(token.kind)) {
      this.at += 1;
    } else if (this.take("(")) {
      this.expression();
      this.need(")", "to close the bracket");
    } else if (token.text === "{") {
      this.matchers(undefined, token.from);
    } else if (token.kind === "word") {
      this.word(token);
    } else {
      this.fail(token, `a metric, a number or a function was expected, not ${quote(token)}`);
    }
  }

  private word(token: Token): void {
    this.at += 1;
    const lower = token.text.toLowerCase();
    if (isAggregation(token.text) && (this.is("(") || this.is("by") || this.is("without"))) {
      this.grouping();
      this.args();
      this.grouping();
    } else if (this.is("(")) {
      if (!isFunction(token.text)) this.fail(token, `there is no function ${token.text}`);
      this.args();
    } else if (lower === "inf" || lower === "nan") {
      return;
    } else if (this.is("{")) {
      this.matchers(token.text, token.to);
    } else {
      this.selectors.push({ name: token.text, at: token.to, braces: "none", labels: [] });
    }
  }

  private grouping(): void {
    for (const word of GROUPING) if (this.take(word)) this.names(word);
  }

  private args(): void {
    this.need("(", "to open the arguments");
    if (this.take(")")) return;
    do this.expression();
    while (this.take(","));
    this.need(")", "to close the arguments");
  }

  private names(after: string): void {
    this.need("(", `after ${after}`);
    while (!this.is(")")) {
      const token = this.peek();
      if (token?.kind !== "word" && token?.kind !== "string")
        this.fail(token, "the name of a label or ) was expected");
      this.at += 1;
      if (!this.take(",") && !this.is(")")) this.fail(this.peek(), '"," or ")" was expected');
    }
    this.at += 1;
  }

  private matchers(name: string | undefined, from: number): void {
    const open = this.need("{", "here");
    const labels: string[] = [];
    while (!this.is("}")) {
      const label = this.peek();
      if (label?.kind !== "word" && label?.kind !== "string")
        this.fail(label, 'the name of a label or "}" was expected');
      this.at += 1;
      labels.push(label.text);
      const operator = this.peek();
      if (operator && ["=", "!=", "=~", "!~"].includes(operator.text)) {
        this.at += 1;
        const value = this.peek();
        if (value?.kind !== "string") this.fail(value, "a value in quotes was expected");
        this.at += 1;
      } else if (label.kind !== "string") {
        this.fail(operator, `=, !=, =~ or !~ was expected after ${label.text}`);
      }
      if (!this.take(",") && !this.is("}")) this.fail(this.peek(), '"," or "}" was expected');
    }
    this.at += 1;
    const braces = labels.length === 0 ? "empty" : "some";
    this.selectors.push({ name, at: Math.max(from, open.to), braces, labels });
  }
}

const quoteText = (text: string) => `"${text}"`;
const quote = (token: Token) => quoteText(token.text);

export function parse(text: string): Parsed {
  const parser = new Parser(text);
  if (text.trim() === "") return { fault: undefined, selectors: [] };
  try {
    parser.whole();
    return { fault: undefined, selectors: parser.selectors };
  } catch (thrown) {
    if (thrown instanceof Broken) return { fault: thrown.fault, selectors: parser.selectors };
    throw thrown;
  }
}

/** Puts a condition on a label into every selector that does not mention it. */
export function narrow(query: string, label: string, value: string): string {
  const condition = `${label}=${JSON.stringify(value)}`;
  let text = query;
  const places = parse(query)
    .selectors.filter((s) => !s.labels.includes(label))
    .sort((a, b) => b.at - a.at);
  for (const { at, braces } of places) {
    const put = { none: `{${condition}}`, empty: condition, some: `${condition}, ` }[braces];
    text = text.slice(0, at) + put + text.slice(at);
  }
  return text;
}

/** What could be typed at a place. */
export type Wish =
  /** A metric, function or aggregation. */
  | { readonly kind: "expression"; readonly from: number }
  /** The name of a label, of these metrics. */
  | { readonly kind: "label"; readonly from: number; readonly metrics: readonly string[] }
  /** A value of a label. */
  | {
      readonly kind: "value";
      readonly from: number;
      readonly label: string;
      readonly metric: string | undefined;
    }
  | { readonly kind: "span"; readonly from: number }
  | { readonly kind: "nothing" };

/** What could stand at `pos`, by what stands before it. */
export function wishAt(text: string, pos: number): Wish {
  const before = tokens(text.slice(0, pos));
  const last = before.at(-1);
  const typing = last && last.to === pos && last.kind === "word" ? last : undefined;
  const from = typing?.from ?? pos;
  const quoted =
    last?.kind === "bad" && /^["'`]/.test(last.text) && last.to === pos ? last : undefined;
  if (last?.kind === "comment" && last.to === pos) return { kind: "nothing" };
  const done = typing || quoted ? before.slice(0, -1) : before;
  const open = opening(done);

  if (open?.text === "{") {
    const metric = wordBefore(done, open);
    const [label, sign] = [done.at(-2), done.at(-1)];
    if (quoted && label && sign && /^(?:=|!=|=~|!~)$/.test(sign.text)) {
      return { kind: "value", from: quoted.from + 1, label: label.text, metric };
    }
    if (quoted || (sign && !/^[{,]$/.test(sign.text))) return { kind: "nothing" };
    return { kind: "label", from, metrics: metric ? [metric] : [] };
  }
  if (quoted) return { kind: "nothing" };
  if (open?.text === "[") {
    return {
      kind: "span",
      from: last && last.to === pos && last.kind !== "bracket" ? last.from : pos,
    };
  }
  if (open?.text === "(" && LISTS.has(wordBefore(done, open)?.toLowerCase() ?? "")) {
    return { kind: "label", from, metrics: metricsOf(text) };
  }
  if (last && last.to === pos && (last.kind === "number" || last.kind === "string")) {
    return { kind: "nothing" };
  }
  return { kind: "expression", from };
}

/** The bracket that is open at the end. */
function opening(list: readonly Token[]): Token | undefined {
  const open: Token[] = [];
  for (const token of list) {
    if (token.kind !== "bracket") continue;
    if ("({[".includes(token.text)) open.push(token);
    else open.pop();
  }
  return open.at(-1);
}

function wordBefore(list: readonly Token[], token: Token): string | undefined {
  const word = list[list.indexOf(token) - 1];
  return word?.kind === "word" ? word.text : undefined;
}

/** The metrics a query names, whether or not it is whole. */
export function metricsOf(text: string): string[] {
  const list = tokens(text);
  let depth = 0;
  const names = new Set<string>();
  for (const [i, token] of list.entries()) {
    if (token.text === "{") depth += 1;
    if (token.text === "}") depth -= 1;
    const after = list[i + 1]?.text;
    const keyword = LISTS.has(token.text) || SETS.has(token.text) || token.text === "bool";
    const within = inList(list, i);
    if (token.kind === "word" && depth === 0 && after !== "(" && !keyword && !within) {
      if (!isAggregation(token.text) && token.text !== "offset") names.add(token.text);
    }
  }
  return [...names];
}

/** Whether a token stands in the brackets of `by (…)` and its like. */
function inList(list: readonly Token[], at: number): boolean {
  for (let i = at - 1; i > 0; i -= 1) {
    const token = list[i] as Token;
    if (token.text === "(") return LISTS.has(list[i - 1]?.text ?? "");
    if (token.kind !== "word" && token.text !== ",") return false;
  }
  return false;
}

/** Where the server says that a query is broken, as `1:5: parse error: …` or `at char 5`. */
export function placeOf(message: string, text: string): number | undefined {
  const lined = /\b(\d+):(\d+):/.exec(message);
  if (lined) {
    const lines = text.split("\n").slice(0, Number(lined[1]) - 1);
    const at = lines.reduce((sum, line) => sum + line.length + 1, 0) + Number(lined[2]) - 1;
    return at <= text.length ? at : undefined;
  }
  const char = /\bat (?:char|position) (\d+)/.exec(message);
  return char && Number(char[1]) <= text.length ? Number(char[1]) - 1 : undefined;
}
