// Whether instances ask for what they use, in words.
import type { SizeReport, SizeRow } from "../api/objects";
import { MONTH_HOURS, moneyWords, parseMoney } from "./money";
import type { Tone } from "./phases";
import { counted } from "./quantity";

export const SIZES: Readonly<Record<SizeRow["verdict"], { word: string; tone: Tone }>> = {
  unknown: { word: "not known yet", tone: "off" },
  fits: { word: "fits", tone: "ok" },
  tooMuch: { word: "asks for too much", tone: "warn" },
  tooLittle: { word: "asks for too little", tone: "bad" },
};

/** Whether nothing is to be changed, as far as is known. */
export function fits({ verdict }: SizeRow): boolean {
  return verdict === "fits" || verdict === "unknown";
}

/** What a report comes to. */
export function sizeLead({ rows, saves, currency, over }: SizeReport): string {
  const known = rows.filter((row) => row.verdict !== "unknown").length;
  if (known === 0) return `too little is measured of the last ${over} yet`;
  const wrong = rows.filter((row) => !fits(row)).length;
  if (wrong === 0) return `${counted(known, "deployment")}, as much as is used`;
  const month = parseMoney(saves) * MONTH_HOURS;
  const money = currency && month > 0 ? `; ${moneyWords(month, currency)} a month too much` : "";
  return `${wrong} of ${counted(known, "deployment")} to change, in run.resources${money}`;
}
