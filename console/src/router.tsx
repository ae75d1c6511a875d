// Every address of the console, and what may stand in it.
import { createRootRoute, createRoute, createRouter } from "@tanstack/react-router";
import { PLURALS, type Plural } from "./api/objects";
import { HostPage } from "./pages/cmdb/host";
import { HostsPage } from "./pages/cmdb/hosts";
import { FreezesPage } from "./pages/decision/freezes";
import { ReleasesPage } from "./pages/delivery/releases";
import { ApplicationsPage } from "./pages/deployment/applications";
import { DeploymentPage } from "./pages/deployment/deployment";
import { InstancePage } from "./pages/deployment/instance";
import { Broken, Missing } from "./pages/object/missing";
import { ObjectPage } from "./pages/object/object";
import { Overview } from "./pages/overview/overview";
import { Frame } from "./shell/frame";

type Search = Record<string, unknown>;
const text = (value: unknown) => (value === undefined || value === "" ? undefined : String(value));
const flag = (value: unknown) => value === true || value === "true" || undefined;

export interface ListSearch {
  q?: string;
  open?: boolean;
}

export interface ThingSearch {
  tab?: string;
  instance?: string;
  phase?: string;
}

const list = (search: Search): ListSearch => ({ q: text(search.q), open: flag(search.open) });
const thing = (search: Search): ThingSearch => ({
  tab: text(search.tab),
  instance: text(search.instance),
  phase: text(search.phase),
});

const root = createRootRoute({ component: Frame, notFoundComponent: Missing });
const parent = { getParentRoute: () => root };

const overview = createRoute({ ...parent, path: "/", component: Overview });
const applications = createRoute({
  ...parent,
  path: "/applications",
  validateSearch: list,
  component: () => <ApplicationsPage {...applications.useSearch()} />,
});
const deployments = createRoute({
  ...parent,
  path: "/deployments",
  validateSearch: list,
  component: () => <ApplicationsPage {...deployments.useSearch()} />,
});
const deployment = createRoute({
  ...parent,
  path: "/deployments/$name",
  validateSearch: thing,
  component: () => {
    const { name } = deployment.useParams();
    return <DeploymentPage key={name} {...deployment.useSearch()} name={name} />;
  },
});
const instance = createRoute({
  ...parent,
  path: "/instances/$name",
  component: () => <InstancePage {...instance.useParams()} />,
});
const hosts = createRoute({
  ...parent,
  path: "/hosts",
  validateSearch: list,
  component: () => <HostsPage {...hosts.useSearch()} />,
});
const host = createRoute({
  ...parent,
  path: "/hosts/$name",
  validateSearch: thing,
  component: () => {
    const { name } = host.useParams();
    return <HostPage key={name} {...host.useSearch()} name={name} />;
  },
});
const releases = createRoute({
  ...parent,
  path: "/releases",
  validateSearch: list,
  component: () => <ReleasesPage {...releases.useSearch()} />,
});
const freezes = createRoute({ ...parent, path: "/freezes", component: FreezesPage });
const object = createRoute({
  ...parent,
  path: "/$plural/$name",
  validateSearch: thing,
  component: () => {
    const { plural, name } = object.useParams();
    const search = object.useSearch();
    if (!PLURALS.includes(plural as Plural)) return <Missing />;
    return (
      <ObjectPage key={`${plural}/${name}`} plural={plural as Plural} name={name} {...search} />
    );
  },
});

export const router = createRouter({
  routeTree: root.addChildren([
    overview,
    applications,
    deployments,
    deployment,
    instance,
    hosts,
    host,
    releases,
    freezes,
    object,
  ]),
  defaultPreload: false,
  scrollRestoration: true,
  defaultNotFoundComponent: Missing,
  defaultErrorComponent: Broken,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
