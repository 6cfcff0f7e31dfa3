// How far the report trusts a source of colours, from the measured faithfulness of its method.

/** The source's place among the trusted ones, from 0; null if it is not one of them. */
const rankOf = (source) => source?.measured?.rank ?? null;

/**
 * What the report says of the chosen source, and the kind of that verdict: `best`, `better`, `chance` or `unknown`.
 * `best` is the best source or null, `chance` the measurement of random words or null.
 */
function trustIn(source, view, best, chance) {
  const name = (source) => say(`source.${source.name}`);
  if (!chance) return { kind: "unknown", text: say("trust.never") };
  // A single head or another layer is not what was measured.
  const isMeasured = source.measured && (source.heads === 1 || view.head === null);
  if (!isMeasured) {
    return { kind: "unknown", text: best ? say("trust.unmeasured", { best: name(best) }) : say("trust.none") };
  }
  const points = (share) => (100 * share).toFixed(0);
  const { standing, lost } = source.measured;
  const numbers = { lost: points(lost), random: points(chance.lost) };
  if (source === best) return { kind: "best", text: say("trust.best", numbers) };
  if (standing === "unclear" || standing === "worse") return { kind: "chance", text: say("trust.chance", numbers) };
  // Better by its sufficiency alone, while no method is better by its comprehensiveness.
  if (!best) return { kind: "better", text: say("trust.only_better", numbers) };
  const beside = { best: name(best), best_lost: points(best.measured.lost) };
  return { kind: "better", text: say("trust.better", { ...numbers, ...beside }) };
}
