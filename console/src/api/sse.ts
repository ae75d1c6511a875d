// Reads a stream of server-sent events out of bytes, piece by piece. It opens no connection.

export interface Message {
  /** Only where this very message carries one; it is not taken over from those before. */
  id: string | undefined;
  data: string;
}

/** Returns a function that takes the next piece of text and gives the messages it completes. */
export function messages(): (piece: string) => Message[] {
  let rest = "";
  let id: string | undefined;
  let data: string[] = [];

  const line = (text: string, done: Message[]) => {
    if (text === "") {
      if (data.length > 0) done.push({ id, data: data.join("\n") });
      data = [];
      id = undefined;
      return;
    }
    const colon = text.indexOf(":");
    if (colon === 0) return;
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? "" : text.slice(colon + (text[colon + 1] === " " ? 2 : 1));
    if (field === "data") data.push(value);
    if (field === "id") id = value;
  };

  return (piece) => {
    const done: Message[] = [];
    const lines = (rest + piece).split("\n");
    rest = lines.pop() ?? "";
    for (const text of lines) line(text.endsWith("\r") ? text.slice(0, -1) : text, done);
    return done;
  };
}
