// Asks for a token and trades it for a session, which the browser keeps and no script can read.
import { type FormEvent, useState } from "react";
import { call, Problem } from "../../api/http";
import { Example } from "../../parts/empty";
import { Mark } from "../../parts/icon";
import { ProblemView } from "../../parts/problem";

export function SignIn({ onDone }: { onDone: () => Promise<unknown> }) {
  const [token, setToken] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      await call("POST", "/v1/session", { body: { token: token.trim() } });
      setToken("");
      await onDone();
    } catch (thrown) {
      const why = Problem.from(thrown);
      setProblem(why.status === 401 ? refused(why) : why);
    } finally {
      setBusy(false);
    }
  };

  return (
    <main className="threshold">
      <Mark size={40} />
      <form className="threshold-box panel" onSubmit={submit}>
        <h1>Sign in to Atoll</h1>
        <div className="field">
          <label htmlFor="token">Token</label>
          <input
            id="token"
            type="password"
            value={token}
            onChange={(event) => setToken(event.target.value)}
            autoComplete="current-password"
            spellCheck={false}
            // biome-ignore lint/a11y/noAutofocus: there is nothing else to do here
            autoFocus
          />
        </div>
        {problem && <ProblemView problem={problem} />}
        <button type="submit" className="button main" disabled={busy || token.trim() === ""}>
          {busy ? "Signing in…" : "Sign in"}
        </button>
        <div className="stack tight small second">
          <p>No token yet? Whoever runs this Atoll makes you one:</p>
          <Example>atoll token create --role viewer --for YOU</Example>
        </div>
      </form>
    </main>
  );
}

function refused(why: Problem): Problem {
  if (why.reasons.length > 0) return why;
  return new Problem(401, why.code, "this token is not known here", [
    { code: "unauthorized", message: "it may have ended, or been made for another server" },
  ]);
}
