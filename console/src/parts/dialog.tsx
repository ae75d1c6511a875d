// A window over the page: in its middle, or as a drawer at its side. The browser's own dialog keeps
// the focus in it, closes it by Esc; this gives it a shape, and the focus back at its end.
import { type ReactNode, useEffect, useId, useRef } from "react";
import { Icon } from "./icon";
import "./dialog.css";

interface Props {
  title: ReactNode;
  onClose: () => void;
  children: ReactNode;
  shape?: "middle" | "drawer" | "top";
  /** Stands right of the title. */
  aside?: ReactNode;
  bare?: boolean;
  onKey?: (key: string) => void;
}

export function Dialog({ title, onClose, children, shape = "middle", aside, bare, onKey }: Props) {
  const ref = useRef<HTMLDialogElement>(null);
  const heading = useId();

  useEffect(() => {
    const dialog = ref.current;
    const before = document.activeElement as HTMLElement | null;
    if (dialog && !dialog.open) dialog.showModal();
    // Left to itself the browser would choose the first button, which is the one that closes it.
    const first = dialog?.querySelector<HTMLElement>("[data-first]");
    (first ?? dialog?.querySelector<HTMLElement>(".dialog-box"))?.focus();
    return () => {
      dialog?.close();
      // It has been taken out of the page by now, so the browser no longer gives the focus back.
      before?.focus({ preventScroll: true });
    };
  }, []);

  return (
    <dialog
      ref={ref}
      className={`dialog ${shape}`}
      aria-labelledby={heading}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => event.target === ref.current && onClose()}
      onKeyDown={(event) => onKey?.(event.key)}
    >
      <div className="dialog-box" tabIndex={-1}>
        {bare ? (
          <h2 id={heading} className="hidden-text">
            {title}
          </h2>
        ) : (
          <div className="dialog-head">
            <h2 id={heading} className="grow">
              {title}
            </h2>
            {aside}
            <button type="button" className="button bare icon" onClick={onClose} aria-label="Close">
              <Icon name="close" />
            </button>
          </div>
        )}
        {children}
      </div>
    </dialog>
  );
}
