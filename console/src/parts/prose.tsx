// A sentence of the server's, in which what stands between backticks is to be typed.
import { Fragment } from "react";
import { readable } from "../logic/prose";

export function Prose({ text }: { text: string }) {
  const parts = text.split("`");
  if (parts.length < 3) return <>{readable(text, Date.now())}</>;
  return (
    <>
      {parts.map((part, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the parts of a fixed text
        <Fragment key={i}>
          {i % 2 === 1 ? <code className="typed">{part}</code> : readable(part, Date.now())}
        </Fragment>
      ))}
    </>
  );
}
