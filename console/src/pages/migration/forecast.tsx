// What a migration would do: how many instances in how many waves, about how long that takes, how
// few hosts would take them, and what to know about it before.
import { useMigrationForecast } from "../../api/forecasts";
import { moneyWords, parseMoney } from "../../logic/money";
import { counted } from "../../logic/quantity";
import { parseSpan, spanWords } from "../../logic/time";
import { Skeleton } from "../../parts/empty";
import { Fact, Facts } from "../../parts/facts";
import { ObjectLink } from "../../parts/object-link";
import { State } from "../../parts/phase";
import { ProblemView } from "../../parts/problem";

export function ForecastView({ spec }: { spec: Record<string, unknown> }) {
  const forecast = useMigrationForecast(spec);
  const { data, error } = forecast;
  if (error) return <ProblemView problem={error} />;
  if (!data) return <Skeleton lines={2} />;
  const { hosts, instances, deployments, waves, takes, packed, least, unplaced, risks } = data;
  const { nothing = "", costs = [], toMake } = data;
  return (
    <div className="move-forecast" role="group" aria-label="forecast">
      <Facts>
        <Fact name="would be moved">{counted(instances, "instance")}</Fact>
        <Fact name="off">{counted(hosts.length, "host")}</Fact>
        {unplaced === 0 && <Fact name="in">{counted(waves, "wave")}</Fact>}
        {unplaced === 0 && (
          <Fact name="takes about">
            {parseSpan(takes) < 1000 ? "a moment" : spanWords(parseSpan(takes))}
          </Fact>
        )}
        {unplaced === 0 && (
          <Fact name="packed closely">
            {counted(packed, "host")} <span className="quiet small">no fewer than {least}</span>
          </Fact>
        )}
        {toMake && (
          <Fact name="on hosts still to be made">
            {counted(toMake.instances, "instance")}, by{" "}
            {toMake.pools.map((pool, i) => (
              <span key={pool}>
                {i > 0 && ", "}
                <ObjectLink plural="pools" name={pool} />
              </span>
            ))}
            {toMake.joinIn && (
              <span className="quiet small">
                {" "}
                a host takes about {spanWords(parseSpan(toMake.joinIn))} to join
              </span>
            )}
          </Fact>
        )}
        {costs.map(({ currency, was, is }) => (
          <Fact key={currency} name="costs an hour, before and after">
            {moneyWords(parseMoney(was))} → {moneyWords(parseMoney(is), currency)}
          </Fact>
        ))}
      </Facts>
      {unplaced > 0 && (
        <p>
          <State word={`${counted(unplaced, "instance")} would find no room`} tone="bad" />
        </p>
      )}
      {risks.length > 0 && (
        <ul className="move-risks">
          {risks.map((risk) => (
            <li key={risk}>
              <State word="risk" tone="warn" /> <span>{risk}</span>
            </li>
          ))}
        </ul>
      )}
      {deployments.length > 0 && (
        <p className="small second">
          {deployments.slice(0, 12).map((one, i) => (
            <span key={one.deployment}>
              {i > 0 && ", "}
              <ObjectLink plural="deployments" name={one.deployment} />: {one.instances}
              <span className="quiet"> ({one.atOnce} at once)</span>
            </span>
          ))}
          {deployments.length > 12 && `, and ${deployments.length - 12} more`}
        </p>
      )}
      {nothing && <p className="quiet">Nothing is to be moved: {nothing}.</p>}
    </div>
  );
}
