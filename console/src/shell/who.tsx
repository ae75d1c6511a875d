// Who one is here, and what one may.
import { call } from "../api/http";
import { watch } from "../api/live";
import type { Whoami } from "../api/objects";
import { queries, useWhoami } from "../api/queries";
import { notify } from "../parts/notices";

/** Whether one may change anything; what one may not is refused by the server in any case. */
export function useMayWrite(): boolean {
  const { data } = useWhoami();
  return data?.verbs?.includes("write") ?? false;
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

const rolesOf = ({ role, roles = [] }: Whoami): string =>
  roles.length > 0 ? roles.join(", ") : role;

function titleOf(who: Whoami): string {
  const teams = who.teams ?? [];
  const lines = [`${who.name}, with role ${rolesOf(who)}`];
  if (teams.length > 0) lines.push(`in team ${teams.join(", ")}`);
  if (who.until) lines.push(`until ${who.until}`);
  return [...lines, `version ${who.serverVersion}`].join("\n");
}

export function Who() {
  const { data } = useWhoami();
  if (!data) return null;
  return (
    <div className="who" title={titleOf(data)}>
      <span className="cut">{data.name}</span>
      <span className="quiet cut">{rolesOf(data)}</span>
      {data.name !== "user/local" && (
        <button type="button" className="link-button quiet" onClick={() => void signOut()}>
          sign out
        </button>
      )}
    </div>
  );
}
