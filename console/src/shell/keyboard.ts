// What the keys do, wherever one is: going places, walking lists, searching, help.
import { useRouter } from "@tanstack/react-router";
import { useEffect } from "react";
import { sequences } from "../logic/keys";
import { toggleTheme } from "./theme";

const PLACES: Readonly<Record<string, string>> = {
  "g o": "/",
  "g a": "/applications",
  "g h": "/hosts",
  "g r": "/releases",
  "g f": "/freezes",
  "g t": "/alerts",
  "g b": "/objectives",
  "g q": "/query",
  "g l": "/logs",
  "g p": "/pipelines",
  "g e": "/environments",
  "g c": "/configs",
  "g d": "/delivery",
  "g k": "/capacity",
  "g m": "/migrations",
  "g y": "/rehearsal",
  "g s": "/board",
};

const TYPING = "input, textarea, select, [contenteditable]:not([contenteditable='false'])";
const WALKABLE = "a[href], button:not(:disabled)";

/** Moves the focus to the next or previous row of the list one is in, or of the first list. */
function walk(step: 1 | -1): boolean {
  const active = document.activeElement;
  const dialog = document.querySelector("dialog[open]");
  const lists = [...(dialog ?? document).querySelectorAll<HTMLElement>("[data-list]")];
  const list =
    active?.closest<HTMLElement>("[data-list]") ?? lists.find((l) => l.childElementCount);
  if (!list) return false;
  const rows = [...list.querySelectorAll<HTMLElement>("[data-row]")];
  const at = rows.findIndex((row) => row.contains(active));
  const seen = rows.findIndex((row) => row.getBoundingClientRect().top >= 0);
  const next = rows[at < 0 ? Math.max(0, seen) : at + step];
  if (!next) return false;
  const target = next.querySelector<HTMLElement>(WALKABLE) ?? next;
  target.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
  return true;
}

function press(selector: string): boolean {
  const element = document.querySelector<HTMLElement>(selector);
  element?.click();
  return element !== null;
}

function show(id: string): boolean {
  const element = document.getElementById(id);
  element?.focus({ preventScroll: true });
  element?.scrollIntoView({ block: "nearest" });
  return element !== null;
}

function search(find: () => void): void {
  const field = document.querySelector<HTMLInputElement>("[data-search]");
  if (!field) {
    find();
    return;
  }
  field.focus();
  field.select();
}

interface Doing {
  find: () => void;
  help: () => void;
}

export function useKeyboard({ find, help }: Doing): void {
  const router = useRouter();
  useEffect(() => {
    const join = sequences("g", 1200);
    const perform = (key: string): boolean => {
      const place = PLACES[key];
      if (place) {
        void router.navigate({ to: place as "/" });
        return true;
      }
      switch (key) {
        case "j":
        case "ArrowDown":
          return walk(1);
        case "k":
        case "ArrowUp":
          return walk(-1);
        case "/":
          search(find);
          return true;
        case "?":
          help();
          return true;
        case "t":
          toggleTheme();
          return true;
        case "e":
          return press("[data-key='e']");
        case "w":
          return press("[data-tab='why']") || show("why");
        case "h":
          return press("[data-tab='history']");
        default:
          return false;
      }
    };
    const heard = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key === "k") {
        event.preventDefault();
        find();
        return;
      }
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      // The editor of queries stands in a tree of its own: what has the focus there comes first.
      const typing = (event.composedPath()[0] as HTMLElement | undefined)?.closest?.(TYPING);
      if (typing || document.querySelector("dialog[open]")) return;
      if (perform(join(event.key, event.timeStamp))) event.preventDefault();
    };
    addEventListener("keydown", heard);
    return () => removeEventListener("keydown", heard);
  }, [router, find, help]);
}
