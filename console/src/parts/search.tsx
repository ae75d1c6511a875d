// The search field of a list; `/` brings one here, Esc empties and leaves it.
import { Icon } from "./icon";
import "./search.css";

interface Props {
  value: string;
  onChange: (value: string) => void;
  label: string;
}

export function Search({ value, onChange, label }: Props) {
  return (
    <div className="search">
      <Icon name="search" />
      <input
        type="search"
        data-search
        value={value}
        placeholder={label}
        aria-label={label}
        autoComplete="off"
        spellCheck={false}
        onChange={(event) => onChange(event.target.value)}
        onKeyDown={(event) => {
          if (event.key !== "Escape") return;
          if (value) onChange("");
          else event.currentTarget.blur();
        }}
      />
      <kbd>/</kbd>
    </div>
  );
}

/** Whether all the words typed are found in any of the texts. */
export function found(query: string, ...texts: (string | undefined | null)[]): boolean {
  if (!query) return true;
  const all = texts.join("\n").toLowerCase();
  return query
    .toLowerCase()
    .split(/\s+/)
    .every((word) => all.includes(word));
}
