// The title of the window: what is shown, and in front of it how much is broken.

let page = "";
let broken = 0;

function show(): void {
  const name = page ? `${page} · Atoll` : "Atoll";
  document.title = broken > 0 ? `(${broken}) ${name}` : name;
}

export function titlePage(name: string): void {
  page = name;
  show();
}

export function titleBroken(count: number): void {
  broken = count;
  show();
}
