// What a person says of a verdict: kept with it, and learned from.
import { useState } from "react";
import type { Analysis } from "../../api/objects";
import { ChangeDialog } from "../../parts/change";
import { Remark, RightWrong } from "../../parts/judging";
import { proposalOf } from "../deployment/actions";

export function FeedbackButtons({ analysis }: { analysis: Analysis }) {
  const [right, setRight] = useState<boolean | null>(null);
  const { feedback } = analysis.spec;
  return (
    <div className="feedback">
      <p className="grow second">
        {feedback ? (
          <>
            Said to be <b>{feedback.right ? "right" : "wrong"}</b>
            {feedback.comment && <>: “{feedback.comment}”</>}
          </>
        ) : (
          "Was the guard right?"
        )}
      </p>
      <RightWrong
        of={`the guard about ${analysis.spec.release}`}
        said={feedback?.right}
        onSay={setRight}
      />
      {right !== null && <Say analysis={analysis} right={right} onClose={() => setRight(null)} />}
    </div>
  );
}

interface SayProps {
  analysis: Analysis;
  right: boolean;
  onClose: () => void;
}

function Say({ analysis, right, onClose }: SayProps) {
  const [seen] = useState(analysis);
  const [comment, setComment] = useState(seen.spec.feedback?.comment ?? "");
  const { name, generation = 0 } = seen.metadata;
  const edit = {
    plural: "analyses" as const,
    name,
    generation,
    spec: { feedback: { right, comment: comment.trim() } },
  };
  return (
    <ChangeDialog
      title={`The guard was ${right ? "right" : "wrong"} about ${seen.spec.release}`}
      lead="It is kept with the verdict. It changes nothing of the rollout."
      word="Say so"
      proposal={proposalOf(
        edit,
        `the guard is said to be ${right ? "right" : "wrong"} about ${seen.spec.release}`,
      )}
      onClose={onClose}
    >
      <Remark label="Why, if you like" value={comment} onChange={setComment} />
    </ChangeDialog>
  );
}
