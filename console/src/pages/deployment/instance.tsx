// The address of an instance leads to its deployment, with the instance open.
import { Navigate } from "@tanstack/react-router";
import { useObject, useSynced } from "../../api/live";
import { Skeleton } from "../../parts/empty";
import { NoObject } from "../object/missing";

export function InstancePage({ name }: { name: string }) {
  const instance = useObject("instances", name);
  const synced = useSynced();
  if (!synced) return <Skeleton lines={8} />;
  if (!instance) return <NoObject plural="instances" name={name} />;
  return (
    <Navigate
      to="/deployments/$name"
      params={{ name: instance.spec.deployment }}
      search={{ instance: name }}
      replace
    />
  );
}
