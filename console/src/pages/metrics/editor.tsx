// Where PromQL is written: coloured, completed, and marked where its grammar is broken. It stands in
// a tree of its own, because the policy of the pages lets no library put style elements in theirs.
import {
  acceptCompletion,
  autocompletion,
  type Completion,
  type CompletionContext,
  type CompletionResult,
  closeBrackets,
  closeBracketsKeymap,
  completionStatus,
  startCompletion,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, insertNewline } from "@codemirror/commands";
import { EditorState, type Extension, StateEffect, StateField } from "@codemirror/state";
import {
  Decoration,
  type DecorationSet,
  EditorView,
  keymap,
  placeholder,
  ViewPlugin,
  type ViewUpdate,
} from "@codemirror/view";
import { useEffect, useRef } from "react";
import { vocabulary } from "../../api/metrics";
import { type Fault, type Token, tokens, type Wish, wishAt } from "../../logic/promql";
import { AGGREGATIONS, FUNCTIONS, GROUPING } from "../../logic/promql-words";
import { look } from "./editor-look";

interface Props {
  /** What is to stand there: taken over whenever it is another object, not while one types. */
  given: { readonly text: string };
  label: string;
  fault: Fault | undefined;
  onChange: (text: string) => void;
  onRun: () => void;
  /** Whether completions are offered, which lie over what stands below. */
  onOffer: (offers: boolean) => void;
}

const SPANS = ["1m", "5m", "15m", "30m", "1h", "6h", "1d", "7d"];

const OPERATORS = new Set([
  "and",
  "or",
  "unless",
  "bool",
  "offset",
  "on",
  "ignoring",
  "group_left",
  "group_right",
  "by",
  "without",
]);

function styleOf(token: Token, next: Token | undefined): string | undefined {
  if (token.kind !== "word") return `q-${token.kind}`;
  if (OPERATORS.has(token.text)) return "q-keyword";
  if (next?.text === "(" || AGGREGATIONS.includes(token.text)) return "q-function";
  if (next && /^(?:=|!=|=~|!~)$/.test(next.text)) return "q-label";
  return "q-metric";
}

function coloured(text: string): DecorationSet {
  const list = tokens(text);
  const marks = list.flatMap((token, i) => {
    const style = styleOf(token, list[i + 1]);
    return style ? [Decoration.mark({ class: style }).range(token.from, token.to)] : [];
  });
  return Decoration.set(marks);
}

const colours = ViewPlugin.fromClass(
  class {
    decorations: DecorationSet;
    constructor(view: EditorView) {
      this.decorations = coloured(view.state.doc.toString());
    }
    update(update: ViewUpdate) {
      if (update.docChanged) this.decorations = coloured(update.state.doc.toString());
    }
  },
  { decorations: (plugin) => plugin.decorations },
);

const setFault = StateEffect.define<Fault | undefined>();

const faults = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(marks, change) {
    let next = change.docChanged ? Decoration.none : marks;
    for (const effect of change.effects) {
      if (effect.is(setFault)) next = underlined(effect.value, change.state.doc.length);
    }
    return next;
  },
  provide: (field) => EditorView.decorations.from(field),
});

function underlined(fault: Fault | undefined, length: number): DecorationSet {
  if (!fault || length === 0) return Decoration.none;
  const from = Math.min(fault.from, length - 1);
  const to = Math.min(Math.max(fault.to, from + 1), length);
  return Decoration.set(Decoration.mark({ class: "q-fault" }).range(from, to));
}

async function optionsFor(wish: Wish): Promise<Completion[]> {
  switch (wish.kind) {
    case "expression": {
      const [names, about] = await Promise.all([vocabulary.names(), vocabulary.about()]);
      return [
        ...names.map((label) => ({
          label,
          type: "metric",
          detail: about.get(label)?.type ?? "",
          info: about.get(label)?.help || undefined,
          boost: 1,
        })),
        ...Object.entries(FUNCTIONS).map(([label, info]) => ({
          label,
          type: "function",
          detail: "function",
          info,
          apply: called(label),
        })),
        ...AGGREGATIONS.map((label) => ({
          label,
          type: "function",
          detail: "aggregation",
          apply: called(label),
        })),
        ...GROUPING.map((label) => ({ label, type: "keyword", apply: called(label) })),
      ];
    }
    case "label": {
      const labels = await vocabulary.labels(wish.metrics);
      return labels.filter((l) => l !== "__name__").map((label) => ({ label, type: "label" }));
    }
    case "value": {
      const values = await vocabulary.values(wish.label, wish.metric);
      return values.map((label) => ({ label, type: "value", apply: quotedEnd }));
    }
    case "span":
      return SPANS.map((label, i) => ({ label, type: "span", boost: -i }));
    default:
      return [];
  }
}

/** Puts a function in with its brackets, and the cursor between them. */
function called(word: string) {
  return (view: EditorView, _: Completion, from: number, to: number) => {
    const open = view.state.sliceDoc(to, to + 1) === "(";
    view.dispatch({
      changes: { from, to, insert: open ? word : `${word}()` },
      selection: { anchor: from + word.length + 1 },
      userEvent: "input.complete",
    });
    if (!open) startCompletion(view);
  };
}

/** Puts a value in and goes on behind its closing quote. */
function quotedEnd(view: EditorView, { label }: Completion, from: number, to: number) {
  const closed = view.state.sliceDoc(to, to + 1) === '"';
  const text = label.replaceAll("\\", "\\\\").replaceAll('"', '\\"');
  view.dispatch({
    changes: { from, to, insert: closed ? text : `${text}"` },
    selection: { anchor: from + text.length + 1 },
    userEvent: "input.complete",
  });
}

async function complete(context: CompletionContext): Promise<CompletionResult | null> {
  const text = context.state.doc.toString();
  const wish = wishAt(text, context.pos);
  if (wish.kind === "nothing") return null;
  if (wish.kind === "expression" && wish.from === context.pos && !context.explicit) return null;
  const options = await optionsFor(wish);
  if (context.aborted || options.length === 0) return null;
  return { from: wish.from, options, validFor: wish.kind === "value" ? /^[^"]*$/ : /^[\w:]*$/ };
}

/**
 * Typing over marked text. Left to itself the browser would carry the colours of what was there over
 * as inline styles, which the policy of the pages forbids and says so.
 */
const typedOver = EditorView.domEventHandlers({
  beforeinput(event, view) {
    const { data, inputType } = event;
    const marked = !view.state.selection.main.empty && !view.composing;
    if (!marked || inputType !== "insertText" || !data || /[([{"'`]/.test(data)) return false;
    event.preventDefault();
    view.dispatch(view.state.replaceSelection(data), {
      userEvent: "input.type",
      scrollIntoView: true,
    });
    return true;
  },
});

function extensions(
  label: string,
  calls: { run: () => void; changed: (text: string) => void; offers: (is: boolean) => void },
): Extension {
  const run = () => {
    calls.run();
    return true;
  };
  return [
    history(),
    closeBrackets(),
    autocompletion({ override: [complete], icons: false, maxRenderedOptions: 60 }),
    keymap.of([
      { key: "Tab", run: acceptCompletion },
      { key: "Enter", run },
      { key: "Mod-Enter", run },
      { key: "Shift-Enter", run: insertNewline },
      ...closeBracketsKeymap,
      ...historyKeymap,
      ...defaultKeymap,
    ]),
    typedOver,
    colours,
    faults,
    look,
    EditorView.lineWrapping,
    EditorView.contentAttributes.of({
      "aria-label": label,
      spellcheck: "false",
      autocapitalize: "off",
    }),
    placeholder("PromQL, for example  sum by (deployment) (rate(http_requests_total[5m]))"),
    EditorView.updateListener.of((update) => {
      if (update.docChanged) calls.changed(update.state.doc.toString());
      const offers = completionStatus(update.state) === "active";
      if (offers !== (completionStatus(update.startState) === "active")) calls.offers(offers);
    }),
  ];
}

export default function Editor({ given, label, fault, onChange, onRun, onOffer }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const calls = useRef({ onChange, onRun, onOffer });
  calls.current = { onChange, onRun, onOffer };
  const first = useRef(given.text);

  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const root = element.shadowRoot ?? element.attachShadow({ mode: "open" });
    const made = new EditorView({
      root,
      parent: root as unknown as Element,
      state: EditorState.create({
        doc: first.current,
        extensions: extensions(label, {
          run: () => calls.current.onRun(),
          changed: (text) => calls.current.onChange(text),
          offers: (is) => calls.current.onOffer(is),
        }),
      }),
    });
    view.current = made;
    return () => {
      first.current = made.state.doc.toString();
      made.destroy();
      view.current = null;
    };
  }, [label]);

  useEffect(() => {
    const current = view.current;
    const { text } = given;
    if (!current || current.state.doc.toString() === text) return;
    current.dispatch({
      changes: { from: 0, to: current.state.doc.length, insert: text },
      selection: { anchor: text.length },
    });
  }, [given]);

  useEffect(() => {
    view.current?.dispatch({ effects: setFault.of(fault) });
  }, [fault]);

  return <div className="query-editor" ref={host} />;
}
