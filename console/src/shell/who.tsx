// Who one is here, and what one may.
import { call } from "../api/http";
import { watch } from "../api/live";
import { queries, useWhoami } from "../api/queries";
import { notify } from "../parts/notices";

/** Whether one may change anything; what one may not is refused by the server in any case. */
export function useMayWrite(): boolean {
  const { data } = useWhoami();
  return data?.role === "operator" || data?.role === "admin";
}

async function signOut(): Promise<void> {
  try {
    await call("DELETE", "/v1/session");
  } catch {
    notify("signing out failed; try again", true);
    return;
  }
  watch.end();
  await queries.resetQueries({ queryKey: ["whoami"] });
}

export function Who() {
  const { data } = useWhoami();
  if (!data) return null;
  return (
    <div className="who" title={`version ${data.serverVersion}`}>
      <span className="cut">{data.name}</span>
      <span className="quiet">{data.role}</span>
      {data.name !== "user/local" && (
        <button type="button" className="link-button quiet" onClick={() => void signOut()}>
          sign out
        </button>
      )}
    </div>
  );
}
