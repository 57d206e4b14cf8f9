import { describeApprovals } from './contract/approvals.ts';
import { describeAuditing } from './contract/auditing.ts';
import { describeCascadeRows } from './contract/cascades.ts';
import { describeFailing } from './contract/failing.ts';
import { describeForging } from './contract/forging.ts';
import { describeInstances } from './contract/instances.ts';
import { describeIssuing } from './contract/issuing.ts';
import { describeJobs } from './contract/jobs.ts';
import { describeRegistry } from './contract/registry.ts';
import { describeSignalling } from './contract/signalling.ts';
import { describeStanding } from './contract/standing.ts';
import { describeStatusLists } from './contract/status-lists.ts';
import { describeTasks } from './contract/tasks.ts';
import type { MakePlace } from './place.ts';

/** What every store must do, on the real engine. */
export const describeStore = (makePlace: MakePlace): void => {
  describeIssuing(makePlace);
  describeStanding(makePlace);
  describeTasks(makePlace);
  describeInstances(makePlace);
  describeRegistry(makePlace);
  describeJobs(makePlace);
  describeStatusLists(makePlace);
  describeApprovals(makePlace);
  describeCascadeRows(makePlace);
  describeAuditing(makePlace);
  describeForging(makePlace);
  describeSignalling(makePlace);
  describeFailing(makePlace);
};
