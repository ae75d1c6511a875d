// Lets in whom the server knows, asks the others to sign in, and waits where there is no server.
import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useEffect } from "react";
import { call, type Problem, whenSignedOut } from "../../api/http";
import { useLink, watch } from "../../api/live";
import type { Whoami } from "../../api/objects";
import { queries } from "../../api/queries";
import { Mark } from "../../parts/icon";
import { ProblemView } from "../../parts/problem";
import { SignIn } from "./sign-in";
import "./access.css";

function useKnown() {
  return useQuery<Whoami, Problem>({
    queryKey: ["whoami"],
    queryFn: ({ signal }) => call("GET", "/v1/whoami", { signal }),
    // While there is no server there is nothing to do but to try again.
    retry: (_, problem) => problem.status === 0 || problem.status >= 502,
    retryDelay: (tried) => Math.min(500 * 2 ** tried, 10_000),
  });
}

export function Gate({ children }: { children: ReactNode }) {
  const who = useKnown();
  const link = useLink();
  const known = who.data !== undefined;
  const refused = who.error?.status === 401 || link.state === "signedOut";

  useEffect(() => {
    // A refusal of the question itself is shown by its error; asking again would go round.
    whenSignedOut(() => {
      watch.end();
      const known = queries.getQueryData(["whoami"]) !== undefined;
      if (known) void queries.resetQueries({ queryKey: ["whoami"] });
    });
    return () => whenSignedOut(() => {});
  }, []);

  useEffect(() => {
    if (known) watch.start();
  }, [known]);

  // Answers given while the server was away are asked for again once it is back.
  const live = link.state === "live" ? link.since : 0;
  useEffect(() => {
    if (live > 0) void queries.invalidateQueries({ predicate: (q) => q.queryKey[0] !== "whoami" });
  }, [live]);

  if (refused) return <SignIn onDone={() => who.refetch()} />;
  if (known) return <>{children}</>;
  return (
    <div className="threshold">
      <Mark size={40} />
      {who.failureReason && who.failureReason.status !== 401 ? (
        <div className="threshold-box">
          <ProblemView problem={who.failureReason} />
          <p className="quiet small">It is tried again by itself.</p>
        </div>
      ) : (
        <p className="quiet">connecting…</p>
      )}
    </div>
  );
}
