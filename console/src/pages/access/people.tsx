// Teams, users and roles: who is in what, and what that lets them do. They are changed with
// manifests and `atoll user`; here they are read.
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { call, type Problem } from "../../api/http";
import type { Permission, Role, Team, User } from "../../api/objects";
import { Empty, Example, Skeleton } from "../../parts/empty";
import { ProblemView } from "../../parts/problem";
import { Head } from "../../shell/head";
import "./audit.css";

interface ListOf<T> {
  items: T[];
}

function useAll<T>(plural: string) {
  return useQuery<ListOf<T>, Problem>({
    queryKey: ["people", plural],
    queryFn: ({ signal }) => call("GET", `/v1/${plural}`, { signal }),
    staleTime: 0,
  });
}

export function PeoplePage() {
  const teams = useAll<Team>("teams");
  const users = useAll<User>("users");
  const roles = useAll<Role>("roles");
  return (
    <>
      <Head title="People" lead="Teams, users, and the roles that say what they may" />
      <div className="people">
        <Group title="Teams" all={teams} empty="There are no teams" example={TEAM}>
          {(team) => (
            <>
              <b>{team.metadata.name}</b>
              <span className="second">{team.spec.description}</span>
              <span className="small">
                {list(team.spec.members) || "no members"}
                {list(team.spec.groups) && `; groups ${list(team.spec.groups)}`}
                {team.spec.contact && `; ${team.spec.contact}`}
              </span>
            </>
          )}
        </Group>
        <Group
          title="Users"
          all={users}
          empty="There are no users"
          example="atoll user add anna --team trade --role viewer"
        >
          {(user) => (
            <>
              <span>
                <b>{user.metadata.name}</b> <span className="second">{user.spec.displayName}</span>
                {user.spec.disabled && <span className="quiet"> disabled</span>}
              </span>
              <span className="small second">{waysIn(user)}</span>
            </>
          )}
        </Group>
        <Group title="Roles" all={roles} empty="There are no roles" example={ROLE}>
          {(role) => (
            <>
              <span>
                <b>{role.metadata.name}</b> <span className="second">{role.spec.description}</span>
              </span>
              <span className="small">to {list(role.spec.to) || "nobody"}</span>
              {(role.spec.rules ?? []).map((rule) => (
                <span key={inWords(rule)} className="small second">
                  {inWords(rule)}
                </span>
              ))}
            </>
          )}
        </Group>
      </div>
    </>
  );
}

const TEAM = `apiVersion: atoll/v1
kind: Team
metadata: { name: trade }
spec: { members: [anna] }`;

const ROLE = `apiVersion: atoll/v1
kind: Role
metadata: { name: trade-staging }
spec:
  to: [team/trade]
  rules:
    - { verbs: [read, logs], teams: [own] }
    - { verbs: [write], kinds: [Deployment], teams: [own], environments: [staging] }`;

interface GroupProps<T> {
  title: string;
  all: { data: ListOf<T> | undefined; error: Problem | null };
  empty: string;
  example: string;
  children: (one: T) => ReactNode;
}

function Group<T extends { metadata: { name: string } }>(props: GroupProps<T>) {
  const { title, all, empty, example, children } = props;
  return (
    <section className="panel" aria-label={title}>
      <header>
        <h2>{title}</h2>
      </header>
      {all.error && <ProblemView problem={all.error} />}
      {!all.data && !all.error && <Skeleton lines={3} />}
      {all.data?.items.length === 0 && (
        <Empty title={empty}>
          <Example>{example}</Example>
        </Empty>
      )}
      <ul data-list>
        {(all.data?.items ?? []).map((one) => (
          <li key={one.metadata.name} data-row>
            {children(one)}
          </li>
        ))}
      </ul>
    </section>
  );
}

const list = (all: readonly string[] | undefined): string => (all ?? []).join(", ");

function waysIn({ spec }: User): string {
  const ways = [spec.password && "a password", spec.subject && "the identity provider"];
  const said = ways.filter(Boolean).join(" and ");
  return said ? `signs in with ${said}` : "has no way to sign in yet";
}

/** A permission in a line: `write of Deployment in staging of team own`. */
function inWords(rule: Permission): string {
  const parts = [list(rule.verbs), `of ${list(rule.kinds) || "everything"}`];
  if (rule.environments?.length) parts.push(`in ${list(rule.environments)}`);
  if (rule.teams?.length) parts.push(`of team ${list(rule.teams)}`);
  if (rule.labels) parts.push(`where ${rule.labels}`);
  return parts.join(" ");
}
