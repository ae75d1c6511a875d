// A few words kept for as long as this tab of the browser is open, over loading the page again too.

/** What was kept under a name; none where the browser keeps nothing. */
export function kept(name: string): string | undefined {
  try {
    return sessionStorage.getItem(`atoll.${name}`) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Keeps it, or with nothing forgets it; says whether that could be done. */
export function keep(name: string, words: string | undefined): boolean {
  try {
    if (words === undefined) sessionStorage.removeItem(`atoll.${name}`);
    else sessionStorage.setItem(`atoll.${name}`, words);
    return true;
  } catch {
    return false;
  }
}
