// A button that puts a text where it can be pasted from.
import { Icon } from "./icon";
import { notify } from "./notices";

interface Props {
  text: string;
  /** What is copied, in words: `the command`. */
  what: string;
  /** Without its word, where there is little room. */
  bare?: boolean;
}

export function Copy({ text, what, bare = false }: Props) {
  const copy = async () => {
    try {
      // Browsers have no clipboard where the connection is not encrypted.
      await navigator.clipboard.writeText(text);
      notify(`${what} is copied`);
    } catch {
      notify(`the browser did not allow copying ${what}`, true);
    }
  };
  return (
    <button
      type="button"
      className={bare ? "button bare slim copy" : "button slim"}
      aria-label={bare ? `Copy ${what}` : undefined}
      title={bare ? `Copy ${what}` : undefined}
      onClick={() => void copy()}
    >
      <Icon name="copy" size={14} />
      {!bare && " Copy"}
    </button>
  );
}
