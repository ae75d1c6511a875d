// The deployments of one application, on its own page.
import { useFleet } from "../../api/live";
import { environmentOrder } from "../../logic/applications";
import { Empty, Example } from "../../parts/empty";
import { DeploymentRow } from "./row";
import "./applications.css";

const FIRST = `apiVersion: atoll/v1
kind: Environment
metadata: { name: prod }
spec: {}`;

export function ApplicationDeployments({ name }: { name: string }) {
  const fleet = useFleet();
  const compare = environmentOrder(fleet);
  const deployments = [...(fleet.deploymentsOf.get(name) ?? [])].sort((a, b) =>
    compare(a.spec.environment, b.spec.environment),
  );
  return (
    <section className="panel" aria-label="deployments" data-list>
      <header>
        <h2>Deployments</h2>
      </header>
      {deployments.length === 0 ? (
        <Empty title="It is deployed nowhere">
          <p>An application is deployed to every environment there is. Declare one:</p>
          <Example>{FIRST}</Example>
        </Empty>
      ) : (
        <div className="of-application">
          {deployments.map((d) => (
            <DeploymentRow
              key={d.metadata.name}
              deployment={d}
              instances={fleet.byDeployment.get(d.metadata.name)}
            />
          ))}
        </div>
      )}
    </section>
  );
}
