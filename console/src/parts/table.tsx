// A table of any length, of which only the part that is seen is drawn. On narrow pages a row is one
// compact block. Rows are walked by j and k, as every list is; a row is opened by its link.
import { memo, type ReactNode, useRef } from "react";
import { useNarrow } from "./media";
import { useRange } from "./window";
import "./table.css";

export interface Column<R> {
  readonly id: string;
  readonly head: string;
  /** As in grid-template-columns. */
  readonly width: string;
  readonly cell: (row: R) => ReactNode;
  readonly right?: boolean;
  readonly sorts?: boolean;
}

export interface Sorting {
  readonly by: string;
  readonly down: boolean;
}

interface Props<R> {
  label: string;
  columns: readonly Column<R>[];
  rows: readonly R[];
  keyOf: (row: R) => string;
  compact: (row: R) => ReactNode;
  compactHeight?: number;
  sorting?: Sorting;
  onSort?: (by: string) => void;
  /** A click anywhere in a row. */
  onOpen?: (row: R) => void;
}

const HEIGHT = 34;

export function Table<R>(props: Props<R>) {
  const { columns, rows, keyOf, compact, compactHeight = 64, onOpen, label } = props;
  const narrow = useNarrow();
  const height = narrow ? compactHeight : HEIGHT;
  const body = useRef<HTMLDivElement>(null);
  const { first, last } = useRange(body, rows.length, height);
  const widths = columns.map((c) => c.width).join(" ");

  return (
    <div
      className={narrow ? "table narrow" : "table"}
      role="table"
      aria-label={label}
      aria-rowcount={rows.length + 1}
      style={{ "--columns": widths, "--height": `${height}px` } as React.CSSProperties}
    >
      {!narrow && <Heads {...props} />}
      <div
        className="table-body"
        ref={body}
        role="rowgroup"
        data-list
        style={{ paddingTop: first * height, paddingBottom: (rows.length - last) * height }}
      >
        {rows.slice(first, last).map((row, i) => (
          <Row
            key={keyOf(row)}
            row={row}
            index={first + i}
            columns={columns as readonly Column<unknown>[]}
            compact={narrow ? (compact as (row: unknown) => ReactNode) : undefined}
            onOpen={onOpen as ((row: unknown) => void) | undefined}
          />
        ))}
      </div>
    </div>
  );
}

function Heads<R>({ columns, sorting, onSort }: Props<R>) {
  return (
    <div className="table-head" role="row">
      {columns.map((column) => {
        const now = sorting?.by === column.id;
        const sort = now ? (sorting.down ? "descending" : "ascending") : undefined;
        return (
          <div
            key={column.id}
            role="columnheader"
            aria-sort={sort}
            className={column.right ? "th right" : "th"}
          >
            {column.sorts && onSort ? (
              <button type="button" onClick={() => onSort(column.id)} className={now ? "now" : ""}>
                {column.head}
                <span aria-hidden="true">{now ? (sorting.down ? "↓" : "↑") : ""}</span>
              </button>
            ) : (
              column.head
            )}
          </div>
        );
      })}
    </div>
  );
}

interface RowProps {
  row: unknown;
  index: number;
  columns: readonly Column<unknown>[];
  compact: ((row: unknown) => ReactNode) | undefined;
  onOpen: ((row: unknown) => void) | undefined;
}

const Row = memo(function Row({ row, index, columns, compact, onOpen }: RowProps) {
  return (
    <div
      className={onOpen ? "tr opens" : "tr"}
      role="row"
      // A compact row has no link of its own to be reached by.
      tabIndex={compact && onOpen ? 0 : -1}
      onKeyDown={(event) => {
        if (event.key === "Enter" && event.target === event.currentTarget) onOpen?.(row);
      }}
      aria-rowindex={index + 2}
      data-row
      onClick={
        onOpen &&
        ((event) => {
          if (!(event.target as HTMLElement).closest("a, button")) onOpen(row);
        })
      }
    >
      {compact ? (
        <div className="td whole" role="cell">
          {compact(row)}
        </div>
      ) : (
        columns.map((column) => (
          <div key={column.id} role="cell" className={column.right ? "td right" : "td"}>
            {column.cell(row)}
          </div>
        ))
      )}
    </div>
  );
});
