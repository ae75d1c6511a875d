// Asks who one is: a user and a password, a token, or the identity provider. What comes back is a
// session, which the browser keeps and no script can read.
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { call, Problem } from "../../api/http";
import type { LoginWays } from "../../api/objects";
import { Example } from "../../parts/empty";
import { Mark } from "../../parts/icon";
import { ProblemView } from "../../parts/problem";

type Way = "password" | "token";

export function SignIn({ onDone }: { onDone: () => Promise<unknown> }) {
  const asked = useQuery<LoginWays, Problem>({
    queryKey: ["login"],
    queryFn: ({ signal }) => call("GET", "/v1/login", { signal }),
  });
  const ways = asked.data ?? (asked.error ? { password: true } : undefined);
  const [chosen, choose] = useState<Way | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  if (!ways) return null;
  const way = chosen ?? (ways.password ? "password" : "token");

  const signIn = async (body: Record<string, string>) => {
    setBusy(true);
    setProblem(null);
    try {
      await call("POST", "/v1/session", { body });
      await onDone();
    } catch (thrown) {
      const why = Problem.from(thrown);
      setProblem(why.status === 401 && way === "token" ? refused(why) : why);
    } finally {
      setBusy(false);
    }
  };
  const other = way === "token" ? "password" : "token";

  return (
    <main className="threshold">
      <Mark size={40} />
      <div className="threshold-box panel">
        <h1>Sign in to Atoll</h1>
        {ways.provider && (
          <>
            <a className="button main" href="/v1/oidc/start">
              Continue with {ways.provider}
            </a>
            <p className="threshold-or quiet small">or</p>
          </>
        )}
        {way === "password" ? (
          <PasswordForm busy={busy} problem={problem} onSubmit={signIn} />
        ) : (
          <TokenForm busy={busy} problem={problem} onSubmit={signIn} />
        )}
        <p className="small">
          <button
            type="button"
            className="link-button"
            onClick={() => {
              setProblem(null);
              choose(other);
            }}
          >
            {other === "token" ? "Use a token instead" : "Use a name and a password instead"}
          </button>
        </p>
        {way === "token" && (
          <div className="stack tight small second">
            <p>No token yet? Whoever runs this Atoll makes you one, or a user with a password:</p>
            <Example>atoll token create --role viewer --for YOU</Example>
            <Example>atoll user add YOU --role viewer</Example>
          </div>
        )}
      </div>
    </main>
  );
}

interface FormProps {
  busy: boolean;
  problem: Problem | null;
  onSubmit: (body: Record<string, string>) => Promise<void>;
}

function PasswordForm({ busy, problem, onSubmit }: FormProps) {
  const [user, setUser] = useState("");
  const [password, setPassword] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void onSubmit({ user: user.trim(), password }).then(() => setPassword(""));
  };
  return (
    <form className="stack" onSubmit={submit}>
      <div className="field">
        <label htmlFor="user">Name</label>
        <input
          id="user"
          value={user}
          onChange={(event) => setUser(event.target.value)}
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          // biome-ignore lint/a11y/noAutofocus: there is nothing else to do here
          autoFocus
        />
      </div>
      <div className="field">
        <label htmlFor="password">Password</label>
        <input
          id="password"
          type="password"
          value={password}
          onChange={(event) => setPassword(event.target.value)}
          autoComplete="current-password"
        />
      </div>
      {problem && <ProblemView problem={problem} />}
      <button
        type="submit"
        className="button main"
        disabled={busy || user.trim() === "" || password === ""}
      >
        {busy ? "Signing in…" : "Sign in"}
      </button>
    </form>
  );
}

function TokenForm({ busy, problem, onSubmit }: FormProps) {
  const [token, setToken] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void onSubmit({ token: token.trim() }).then(() => setToken(""));
  };
  return (
    <form className="stack" onSubmit={submit}>
      <div className="field">
        <label htmlFor="token">Token</label>
        <input
          id="token"
          type="password"
          value={token}
          onChange={(event) => setToken(event.target.value)}
          autoComplete="off"
          spellCheck={false}
          // biome-ignore lint/a11y/noAutofocus: there is nothing else to do here
          autoFocus
        />
      </div>
      {problem && <ProblemView problem={problem} />}
      <button type="submit" className="button main" disabled={busy || token.trim() === ""}>
        {busy ? "Signing in…" : "Sign in"}
      </button>
    </form>
  );
}

function refused(why: Problem): Problem {
  if (why.reasons.length > 0) return why;
  return new Problem(401, why.code, "this token is not known here", [
    { code: "unauthorized", message: "it may have ended, or been made for another server" },
  ]);
}
