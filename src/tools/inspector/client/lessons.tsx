/** @jsxImportSource preact */
// The lessons: what the program does, a question, and what the kernel has answered, just now.

import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import type { LessonReport, LessonStep } from "../../lessons/lesson.ts";
import { hasLine } from "../../../trace/format.ts";
import { KernelLists } from "./kernel-lists.tsx";
import { Timeline } from "./timeline.tsx";
import type { Store } from "./store.ts";
import { EventHistory } from "./event-history.ts";
import { lineOf } from "./format.ts";

const MOST_LINES = 24;

export function LessonBook({ store }: { store: Store }): JSX.Element {
  const { list, running, report, done } = store.lessons;
  return (
    <div class="lessons">
      <nav aria-label="Lessons">
        <h2>
          Lessons <small>{done.length === 0 ? "" : `${done.length} of ${list.length} done`}</small>
        </h2>
        <ol>
          {list.map(({ id, title, point }) => (
            <li key={id}>
              <button
                type="button"
                data-lesson={id}
                title={point}
                aria-current={report?.id === id ? "true" : undefined}
                disabled={!store.mayControl || running !== undefined}
                onClick={() => void store.learn(id)}
              >
                {title} {done.includes(id) ? "✓ done" : ""}
              </button>
            </li>
          ))}
        </ol>
        {store.mayControl ? null : (
          <p class="aside">They run programs: open the address with the token, as the terminal shows it.</p>
        )}
      </nav>
      <article aria-live="polite">
        {running !== undefined ? <p>It runs, on real sockets …</p> : null}
        {report === undefined ? (
          running === undefined ? (
            <p>
              Each lesson is a small program on real sockets, in a process of its own. It runs when you choose it, and
              what it claims is compared with what this machine's kernel has answered.
            </p>
          ) : null
        ) : (
          <Lesson store={store} report={report} />
        )}
      </article>
    </div>
  );
}

function Lesson({ store, report }: { store: Store; report: LessonReport }): JSX.Element {
  const { step: at, chosen } = store.lessons;
  const step = report.steps[at];
  const tape = useMemo(() => tapeOf(report), [report]);
  if (step === undefined) return <p>This lesson has no steps: {report.error}</p>;
  const choice = chosen[at];
  const isAnswered = step.question === undefined || choice !== undefined;
  return (
    <>
      <h2>{report.title}</h2>
      <p class="point">{report.point}</p>
      <h3>
        {at + 1} of {report.steps.length}: {step.title}
      </h3>
      <p>{step.text}</p>
      {step.question === undefined ? null : <Question store={store} step={step} choice={choice} />}
      {isAnswered ? <Answer report={report} at={at} tape={tape} isNumeric={store.isNumeric} /> : null}
      <p class="turn">
        <button type="button" disabled={at === 0} onClick={() => store.learnStep(at - 1)}>
          Back
        </button>{" "}
        {at + 1 < report.steps.length ? (
          <button type="button" class="main" disabled={!isAnswered} onClick={() => store.learnStep(at + 1)}>
            Go on
          </button>
        ) : (
          <strong role="status" class={report.holds ? "holds" : "fails"}>
            {report.holds
              ? "✓ The end: the kernel has confirmed every claim."
              : `✗ The end: not every claim holds here. ${report.error ?? ""}`}
          </strong>
        )}
      </p>
    </>
  );
}

function Question({
  store,
  step,
  choice,
}: {
  store: Store;
  step: LessonStep;
  choice: number | undefined;
}): JSX.Element {
  const { question } = step;
  if (question === undefined) return <></>;
  return (
    <fieldset class="question">
      <legend>{question.ask}</legend>
      {question.choices.map((text, i) => (
        <button
          key={text}
          type="button"
          class={choice === undefined ? "" : i === question.answer ? "right" : i === choice ? "wrong" : ""}
          aria-pressed={choice === i}
          disabled={choice !== undefined}
          onClick={() => store.choose(i)}
        >
          {text}
          {choice === undefined ? "" : i === question.answer ? " ✓ the kernel's answer" : i === choice ? " ✗" : ""}
        </button>
      ))}
    </fieldset>
  );
}

function Answer({
  report,
  at,
  tape,
  isNumeric,
}: {
  report: LessonReport;
  at: number;
  tape: EventHistory;
  isNumeric: boolean;
}): JSX.Element {
  const step = report.steps[at] as LessonStep;
  const from = report.steps[at - 1]?.seq ?? 0;
  const events = report.events.filter(({ seq }) => seq > from && seq <= step.seq);
  const lines = events.flatMap((event) => (hasLine(event) ? [lineOf(event, isNumeric)] : []));
  const position = report.events.findLastIndex(({ seq }) => seq <= step.seq);
  const half = MOST_LINES / 2;
  const shown =
    lines.length <= MOST_LINES
      ? lines
      : [...lines.slice(0, half), `      … ${lines.length - MOST_LINES} lines more`, ...lines.slice(-half)];
  return (
    <>
      <ul class="checks">
        {step.checks
          .filter(({ claim, holds }) => claim !== step.question?.ask || !holds)
          .map(({ claim, found, wanted, holds }) => (
            <li key={claim} class={holds ? "holds" : "fails"}>
              {holds ? "✓" : "✗"} {claim}: <code>{found}</code>
              {holds ? null : ` (expected: ${wanted})`}
            </li>
          ))}
      </ul>
      {shown.length > 0 ? (
        <pre tabIndex={0}>{shown.join("\n")}</pre>
      ) : (
        <p class="aside">No call in this step is traced.</p>
      )}
      {position >= 0 ? (
        <div class="stage">
          <KernelLists view={tape.view(position)} isNumeric={isNumeric} onFd={() => {}} />
          <Timeline tape={tape} position={position} isNumeric={isNumeric} onMove={undefined} />
        </div>
      ) : null}
    </>
  );
}

function tapeOf({ events }: LessonReport): EventHistory {
  const tape = new EventHistory();
  tape.load(events);
  return tape;
}
