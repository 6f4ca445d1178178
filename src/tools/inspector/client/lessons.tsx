/** @jsxImportSource preact */
// The lessons: a list, and the steps of the lesson that was run, each with its checks and system calls.

import type { JSX } from "preact";
import { useMemo, useReducer } from "preact/hooks";
import { hasLine } from "../../../trace/format.ts";
import {
  isStatement,
  type LessonCheck,
  type LessonQuestion,
  type LessonReport,
  type LessonStep,
} from "../../lessons/lesson-report.ts";
import { EventBrowser } from "./event-browser.ts";
import { EventHistory } from "./event-history.ts";
import { formatLine } from "./format.ts";
import { KernelLists } from "./kernel-lists.tsx";
import type { Store } from "./store.ts";
import { Timeline } from "./timeline.tsx";

/** A step with more lines is shortened in the middle. */
const MAX_LINES = 24;

export function LessonPanel({ store }: { store: Store }): JSX.Element {
  const { lessons } = store;
  const { running, report } = lessons;
  return (
    <div class="lessons">
      <LessonList store={store} />
      <article aria-label="Lesson" aria-busy={running !== undefined}>
        <p role="status" class={running === undefined ? "visually-hidden" : ""}>
          {running !== undefined ? "Running…" : report === undefined ? "" : stepTitle(report, lessons.step)}
        </p>
        {running !== undefined || report !== undefined ? null : <Introduction />}
        {report === undefined ? null : <Lesson store={store} report={report} />}
      </article>
    </div>
  );
}

function stepTitle({ steps }: LessonReport, index: number): string {
  return `${index + 1} of ${steps.length}: ${steps[index]?.title ?? ""}`;
}

function Introduction(): JSX.Element {
  return (
    <p>
      Each lesson is a small program that uses real sockets and runs in its own process. It runs when you select it, and
      every statement in it is checked against what the kernel of this machine does.
    </p>
  );
}

function LessonList({ store }: { store: Store }): JSX.Element {
  const { lessons, canControl } = store;
  const { list, running, report, completed } = lessons;
  return (
    <nav aria-label="Lessons">
      <h2>
        Lessons <small>{completed.length === 0 ? "" : `${completed.length} of ${list.length} completed`}</small>
      </h2>
      <ol>
        {list.map(({ id, title, point }) => (
          <li key={id}>
            <button
              type="button"
              data-lesson={id}
              title={point}
              aria-current={report?.id === id ? "true" : undefined}
              disabled={!canControl || running !== undefined}
              onClick={() => void lessons.start(id)}
            >
              {title} {completed.includes(id) ? "✓" : ""}
            </button>
          </li>
        ))}
      </ol>
      {canControl ? null : (
        <p class="aside">Lessons run programs. To run one, open the URL with the token from the terminal.</p>
      )}
    </nav>
  );
}

function Lesson({ store, report }: { store: Store; report: LessonReport }): JSX.Element {
  const { lessons, isNumeric } = store;
  const index = lessons.step;
  const step = report.steps[index];
  const history = useMemo(() => historyOf(report, step?.seq ?? 0), [report, step]);
  if (step === undefined) return <p>The lesson failed before its first step: {report.error}</p>;
  const choice = lessons.answers[index];
  const isAnswered = step.question === undefined || choice !== undefined;
  return (
    <>
      <h2>{report.title}</h2>
      <p class="point">{report.point}</p>
      <h3>{stepTitle(report, index)}</h3>
      <p>
        <TextWithCode text={step.text} />
      </p>
      {step.question === undefined ? null : (
        <Question question={step.question} choice={choice} onAnswer={(answer) => lessons.answer(answer)} />
      )}
      {isAnswered ? <StepResult report={report} index={index} history={history} isNumeric={isNumeric} /> : null}
      <p class="step-navigation">
        <button type="button" disabled={index === 0} onClick={() => lessons.goTo(index - 1)}>
          Back
        </button>{" "}
        {index + 1 < report.steps.length ? (
          <button type="button" class="primary" disabled={!isAnswered} onClick={() => lessons.goTo(index + 1)}>
            Next
          </button>
        ) : (
          <Verdict report={report} />
        )}
      </p>
    </>
  );
}

/** Text in which backquotes delimit code. */
function TextWithCode({ text }: { text: string }): JSX.Element {
  return <>{text.split("`").map((part, i) => (i % 2 === 1 ? <code key={i}>{part}</code> : part))}</>;
}

function Verdict({ report: { holds, error } }: { report: LessonReport }): JSX.Element {
  return (
    <strong role="status" class={holds ? "holds" : "fails"}>
      {holds
        ? "✓ End of the lesson. Every statement was confirmed."
        : `✗ End of the lesson. Not every statement holds on this machine. ${error ?? ""}`}
    </strong>
  );
}

interface QuestionProps {
  question: LessonQuestion;
  /** The index of the chosen answer. */
  choice: number | undefined;
  onAnswer: (choice: number) => void;
}

function Question({ question, choice, onAnswer }: QuestionProps): JSX.Element {
  const gradeOf = (i: number): "" | "right" | "wrong" => {
    if (choice === undefined) return "";
    return i === question.answer ? "right" : i === choice ? "wrong" : "";
  };
  const marks = { "": "", right: " ✓ correct", wrong: " ✗" };
  return (
    <fieldset class="question">
      <legend>{question.prompt}</legend>
      {question.choices.map((text, i) => (
        <button
          key={text}
          type="button"
          class={gradeOf(i)}
          aria-pressed={choice === i}
          disabled={choice !== undefined}
          onClick={() => onAnswer(i)}
        >
          {text}
          {marks[gradeOf(i)]}
        </button>
      ))}
    </fieldset>
  );
}

interface StepResultProps {
  report: LessonReport;
  /** The index of the step. */
  index: number;
  history: EventHistory;
  isNumeric: boolean;
}

function StepResult({ report, index, history, isNumeric }: StepResultProps): JSX.Element {
  const [, onBrowserChange] = useReducer((count: number) => count + 1, 0);
  const step = report.steps[index] as LessonStep;
  const afterSeq = report.steps[index - 1]?.seq ?? 0;
  const events = report.events.filter(({ seq }) => seq > afterSeq && seq <= step.seq);
  const lines = shorten(events.flatMap((event) => (hasLine(event) ? [formatLine(event, isNumeric)] : [])));
  const position = history.end - 1;
  const browser = useMemo(() => new EventBrowser(() => onBrowserChange(0)), []);
  browser.update(history, position, true);
  return (
    <>
      <Checks step={step} />
      {lines.length > 0 ? (
        <pre tabIndex={0}>{lines.join("\n")}</pre>
      ) : (
        <p class="aside">This step makes no traced system calls.</p>
      )}
      {position >= 0 ? (
        <div class="step-state">
          <KernelLists
            view={history.view(position)}
            kernel={undefined}
            kernelAgeMs={0}
            isNumeric={isNumeric}
            onSelectFd={() => {}}
          />
          <Timeline browser={browser} position={position} isNumeric={isNumeric} onSelect={undefined} />
        </div>
      ) : null}
    </>
  );
}

function Checks({ step: { checks, question } }: { step: LessonStep }): JSX.Element {
  const isAnswerToQuestion = ({ claim, holds }: LessonCheck): boolean => claim === question?.prompt && holds;
  return (
    <ul class="checks">
      {checks
        .filter((check) => !isAnswerToQuestion(check))
        .map((check) => (
          <li key={check.claim} class={check.holds ? "holds" : "fails"}>
            {check.holds ? "✓" : "✗"} {check.claim} {isStatement(check) ? null : <CheckedValue check={check} />}
          </li>
        ))}
    </ul>
  );
}

function CheckedValue({ check: { actual, expected, holds } }: { check: LessonCheck }): JSX.Element {
  return (
    <>
      <code>{actual}</code>
      {holds ? null : ` (expected: ${expected})`}
    </>
  );
}

function shorten(lines: string[]): string[] {
  if (lines.length <= MAX_LINES) return lines;
  const half = MAX_LINES / 2;
  return [...lines.slice(0, half), `      … ${lines.length - MAX_LINES} more lines`, ...lines.slice(-half)];
}

/** Returns the history up to the end of a step: what comes later is not revealed. */
function historyOf({ events }: LessonReport, lastSeq: number): EventHistory {
  const history = new EventHistory();
  history.load(events.filter(({ seq }) => seq <= lastSeq));
  return history;
}
