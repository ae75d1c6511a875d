// What is worth saying of a number of instances before it is asked for. It is no refusal: whoever
// asks may mean it.
import type { Application, Deployment, Reason } from "../api/objects";

/** Remarks about `count` instances of a deployment, beside what its application declares. */
export function countRemarks(
  count: number,
  deployment: Deployment,
  application: Application | undefined,
): Reason[] {
  if (count === 0) {
    return [
      {
        code: "stops-all",
        message: `0 stops all of it: no instance of ${deployment.metadata.name} serves any more`,
        hint: "it stays so until another number is asked for",
      },
    ];
  }
  const { min, max } = application?.spec.scaling ?? {};
  const name = application?.metadata.name;
  if (max !== undefined && count > max) {
    return [
      {
        code: "beyond-max",
        message: `${count} is more than autoscaling may reach: spec.scaling.max of application/${name} is ${max}`,
        hint: "raise it in the manifest, if so many are meant to be usual",
      },
    ];
  }
  if (min !== undefined && count < min) {
    return [
      {
        code: "below-min",
        message: `${count} is less than autoscaling would leave: spec.scaling.min of application/${name} is ${min}`,
        hint: "lower it in the manifest, if so few are meant to be usual",
      },
    ];
  }
  return [];
}
