// Where the steps of a graph are drawn: in columns, each right of all it needs, so ordered that few
// lines cross; a line that passes columns by is given a place of its own in each of them.

export interface GraphStep {
  readonly name: string;
  readonly needs?: readonly string[];
}

export interface Sizes {
  readonly width: number;
  readonly height: (name: string) => number;
  readonly gap: number;
  readonly between: number;
}

export interface Place {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Edge {
  readonly from: string;
  readonly to: string;
  /** As in the `d` of an SVG path. */
  readonly path: string;
}

export interface Layout {
  readonly places: ReadonlyMap<string, Place>;
  readonly edges: readonly Edge[];
  readonly width: number;
  readonly height: number;
  readonly columns: number;
}

interface Node {
  readonly id: string;
  readonly column: number;
  readonly height: number;
  readonly before: Node[];
  readonly after: Node[];
  y: number;
}

/** A line that passes a column takes so much of it. */
const PASSING = 10;
const SWEEPS = 8;

/** The needs of each step that no other need of it implies, without those that are not there. */
export function directNeeds(steps: readonly GraphStep[]): Map<string, readonly string[]> {
  const known = new Map(steps.map((s) => [s.name, s]));
  const memo = new Map<string, ReadonlySet<string>>();
  const above = (name: string, on: ReadonlySet<string>): ReadonlySet<string> => {
    const done = memo.get(name);
    if (done) return done;
    const all = new Set<string>();
    for (const need of known.get(name)?.needs ?? []) {
      if (on.has(need) || !known.has(need)) continue;
      all.add(need);
      for (const far of above(need, new Set([...on, need]))) all.add(far);
    }
    memo.set(name, all);
    return all;
  };
  return new Map(
    steps.map((step) => {
      const needs = [...new Set(step.needs ?? [])].filter((n) => known.has(n) && n !== step.name);
      const implied = (n: string) =>
        needs.some((other) => other !== n && above(other, new Set([other])).has(n));
      return [step.name, needs.filter((n) => !implied(n))];
    }),
  );
}

/** The column of each step: one right of the rightmost it needs. What goes in a circle ends it. */
export function columnsOf(needs: ReadonlyMap<string, readonly string[]>): Map<string, number> {
  const columns = new Map<string, number>();
  const column = (name: string, on: ReadonlySet<string>): number => {
    const known = columns.get(name);
    if (known !== undefined) return known;
    let found = 0;
    for (const need of needs.get(name) ?? []) {
      if (!on.has(need)) found = Math.max(found, column(need, new Set([...on, need])) + 1);
    }
    columns.set(name, found);
    return found;
  };
  for (const name of needs.keys()) column(name, new Set([name]));
  return columns;
}

export function layout(steps: readonly GraphStep[], sizes: Sizes): Layout {
  const needs = directNeeds(steps);
  const columns = columnsOf(needs);
  const nodes = new Map<string, Node>();
  const rows: Node[][] = [];
  const add = (id: string, column: number, height: number): Node => {
    const node: Node = { id, column, height, before: [], after: [], y: 0 };
    rows[column] = [...(rows[column] ?? []), node];
    return node;
  };
  for (const { name } of steps) {
    nodes.set(name, add(name, columns.get(name) ?? 0, sizes.height(name)));
  }
  const ways = waysOf(needs, nodes, add);
  arrange(rows, sizes.between);
  const top = Math.min(0, ...rows.flat().map((n) => n.y));
  for (const node of rows.flat()) node.y -= top;

  const x = (column: number) => column * (sizes.width + sizes.gap);
  const places = new Map<string, Place>();
  for (const [name, node] of nodes) {
    const { y, height, column } = node;
    places.set(name, { x: x(column), y, width: sizes.width, height });
  }
  const edges = ways.map(({ from, to, via }) => ({ from, to, path: pathOf(via, sizes, x) }));
  const all = rows.flat();
  return {
    places,
    edges,
    width: rows.length === 0 ? 0 : x(rows.length - 1) + sizes.width,
    height: Math.max(0, ...all.map((n) => n.y + n.height)),
    columns: rows.length,
  };
}

interface Way {
  readonly from: string;
  readonly to: string;
  readonly via: readonly Node[];
}

function waysOf(
  needs: ReadonlyMap<string, readonly string[]>,
  nodes: ReadonlyMap<string, Node>,
  add: (id: string, column: number, height: number) => Node,
): Way[] {
  const ways: Way[] = [];
  for (const [to, all] of needs) {
    for (const from of all) {
      const [start, end] = [nodes.get(from), nodes.get(to)];
      // Steps that wait for each other have no line that leads on.
      if (!start || !end || start.column >= end.column) continue;
      const via = [start];
      for (let column = start.column + 1; column < end.column; column += 1) {
        via.push(add(`${from}>${to}@${column}`, column, PASSING));
      }
      via.push(end);
      for (const [i, node] of via.slice(1).entries()) {
        node.before.push(via[i] as Node);
        (via[i] as Node).after.push(node);
      }
      ways.push({ from, to, via });
    }
  }
  return ways;
}

const middle = (node: Node) => node.y + node.height / 2;

function mean(nodes: readonly Node[]): number | undefined {
  if (nodes.length === 0) return undefined;
  return nodes.reduce((sum, node) => sum + middle(node), 0) / nodes.length;
}

/** Sweeps to and fro: each column is ordered, and then moved, by the middle of its neighbours. */
function arrange(rows: readonly Node[][], between: number): void {
  for (const row of rows) stack(row, between);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const forth = sweep % 2 === 0;
    const order = forth ? rows : [...rows].reverse();
    for (const row of order.slice(1)) {
      const wish = new Map(
        row.map((n) => [n, mean(forth ? n.before : n.after) ?? middle(n)] as const),
      );
      row.sort((a, b) => (wish.get(a) as number) - (wish.get(b) as number));
      settle(row, wish, between);
    }
  }
}

function stack(row: readonly Node[], between: number): void {
  let y = 0;
  for (const node of row) {
    node.y = y;
    y += node.height + between;
  }
}

/** Puts the nodes of a column as near as can be to where they wish to be, in their order. */
function settle(row: readonly Node[], wish: ReadonlyMap<Node, number>, between: number): void {
  // Neighbours that are too near are joined into a block, which stands at the middle of its wishes.
  interface Block {
    nodes: Node[];
    at: number;
    size: number;
    sum: number;
  }
  const blocks: Block[] = [];
  for (const node of row) {
    const at = (wish.get(node) as number) - node.height / 2;
    let block: Block = { nodes: [node], at, size: node.height + between, sum: at };
    for (;;) {
      const last = blocks.at(-1);
      if (!last || last.at + last.size <= block.at) break;
      blocks.pop();
      const nodes = [...last.nodes, ...block.nodes];
      const sum = last.sum + block.sum - block.nodes.length * last.size;
      block = { nodes, sum, size: last.size + block.size, at: sum / nodes.length };
    }
    blocks.push(block);
  }
  for (const { nodes, at } of blocks) {
    let y = at;
    for (const node of nodes) {
      node.y = y;
      y += node.height + between;
    }
  }
}

function pathOf(via: readonly Node[], sizes: Sizes, x: (column: number) => number): string {
  const n = (value: number) => Math.round(value * 10) / 10;
  const [first] = via as [Node];
  let path = `M${n(x(first.column) + sizes.width)} ${n(middle(first))}`;
  for (const [i, node] of via.slice(1).entries()) {
    const from = via[i] as Node;
    const [x0, x1] = [x(from.column) + sizes.width, x(node.column)];
    const half = (x0 + x1) / 2;
    path += `C${n(half)} ${n(middle(from))} ${n(half)} ${n(middle(node))} ${n(x1)} ${n(middle(node))}`;
    if (i < via.length - 2) path += `H${n(x1 + sizes.width)}`;
  }
  return path;
}
