// A row of values as bars, the newest at the right. A value that is not known has no bar.
import "./trend.css";

interface Props {
  values: readonly (number | undefined)[];
  label: string;
  words: (value: number) => string;
  small?: boolean;
}

export function Trend({ values, label, words, small = false }: Props) {
  const most = Math.max(0, ...values.map((v) => v ?? 0));
  const told = values.map((v) => (v === undefined ? "not known" : words(v))).join(", ");
  return (
    <span className={small ? "trend small" : "trend"} role="img" aria-label={`${label}: ${told}`}>
      {values.map((value, i) => {
        const back = values.length - 1 - i;
        const when = back === 0 ? "this week" : back === 1 ? "last week" : `${back} weeks ago`;
        const height = value === undefined || most === 0 ? 0 : Math.max(4, (value / most) * 100);
        return (
          <span
            // biome-ignore lint/suspicious/noArrayIndexKey: places in time
            key={i}
            className={value === undefined ? "trend-bar none" : "trend-bar"}
            title={`${when}: ${value === undefined ? "not known" : words(value)}`}
          >
            <i style={{ height: `${height}%` }} />
          </span>
        );
      })}
    </span>
  );
}
