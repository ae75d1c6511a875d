// Amounts of money as the server writes them: exact decimals, in words with their currency.

import { measured } from "./units";

/** As the wire has it: `"12.345678"`. */
export type Money = string | number | null | undefined;

export const MONTH_HOURS = 730;

export function parseMoney(money: Money): number {
  return money === null || money === undefined ? 0 : Number(money);
}

/** `0.3333 EUR`: a price, with every digit it was given. */
export function priceWords(price: Money, currency: string): string {
  const digits = { minimumFractionDigits: 2, maximumFractionDigits: 6 };
  return `${parseMoney(price).toLocaleString("en", digits)} ${currency}`;
}

/** `12.35 EUR`; what is small keeps the digits that say something, and is never said to be zero. */
export function moneyWords(amount: number, currency = ""): string {
  const size = Math.abs(amount);
  if (size >= 1e12) return currency ? `${measured(amount)} ${currency}` : measured(amount);
  const digits = size === 0 || size >= 10 ? 2 : size >= 0.1 ? 2 : size >= 0.001 ? 4 : 6;
  const shown = amount.toLocaleString("en", {
    minimumFractionDigits: size >= 10_000 ? 0 : 2,
    maximumFractionDigits: size >= 10_000 ? 0 : digits,
  });
  return currency ? `${shown} ${currency}` : shown;
}
