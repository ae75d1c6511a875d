// A score as a number in a ring, and its days as a line.
import { moved, type ScoreRow, scoreTone } from "../../logic/standards";

export function Score({ score, large = false }: { score: number | undefined; large?: boolean }) {
  const tone = scoreTone(score);
  const round = 2 * Math.PI * 15;
  return (
    <span
      className={`score ${tone} ${large ? "large" : ""}`}
      role="img"
      aria-label={score === undefined ? "no score" : `score ${score} of 100`}
    >
      <svg viewBox="0 0 36 36" aria-hidden="true">
        <circle cx="18" cy="18" r="15" className="score-ground" />
        <circle
          cx="18"
          cy="18"
          r="15"
          className="score-part"
          strokeDasharray={`${((score ?? 0) / 100) * round} ${round}`}
          transform="rotate(-90 18 18)"
        />
      </svg>
      <b>{score ?? "–"}</b>
    </span>
  );
}

const HEIGHT = 28;

/** Day by day, from 0 to 100; a day on which nothing was asked is a gap. */
export function ScoreLine({ row, wide = false }: { row: ScoreRow; wide?: boolean }) {
  const width = wide ? 240 : 110;
  const x = (i: number) => (i / Math.max(1, row.trend.length - 1)) * (width - 6) + 3;
  const y = (score: number) => HEIGHT - 3 - (score / 100) * (HEIGHT - 6);
  let path = "";
  let pen = false;
  for (const [i, score] of row.trend.entries()) {
    if (score === null) {
      pen = false;
      continue;
    }
    path += `${pen ? "L" : "M"}${x(i).toFixed(1)} ${y(score).toFixed(1)}`;
    pen = true;
  }
  const last = row.trend.at(-1);
  const told = row.trend.filter((s) => s !== null);
  return (
    <svg
      className="score-line"
      width={width}
      height={HEIGHT}
      viewBox={`0 0 ${width} ${HEIGHT}`}
      role="img"
      aria-label={`${row.name}, score day by day: ${told.join(", ")}`}
    >
      <path d={`M3 ${y(100)}H${width - 3}M3 ${y(0)}H${width - 3}`} className="score-bounds" />
      <path d={path} className="score-path" />
      {last !== null && last !== undefined && (
        <circle cx={x(row.trend.length - 1)} cy={y(last)} r="2.5" className="score-now" />
      )}
    </svg>
  );
}

export function Moved({ row }: { row: ScoreRow }) {
  const word = moved(row);
  const tone = word.startsWith("+") ? "good-text" : word.startsWith("−") ? "bad-text" : "quiet";
  return <span className={tone}>{word || "since today"}</span>;
}
