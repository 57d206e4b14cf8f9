import type { DomainId } from '../core/ids.ts';
import { pairJson } from '../authority/narrow.ts';
import type { JsonObject } from '../core/json.ts';
import type { Workload } from '../registry/entries.ts';
import { authorityJson } from './authority-facts.ts';
import type { DenialContext } from './denials.ts';
import type { EvidenceFacts } from './facts.ts';
import type { ExchangeRequest } from './request.ts';

/** What is learnt about one request on its way, so that a refusal at any step can be explained with all that was known. */
export const openTrail = (domainId: DomainId, request: ExchangeRequest, bound: boolean) => {
  let workload: Workload | undefined;
  let evidence: EvidenceFacts | undefined;
  let authority: Parameters<typeof authorityJson>[0] | undefined;
  const asked: JsonObject = {
    target: request.target ?? null,
    scopes: request.scopes,
    bound,
    ...(request.ceiling === undefined ? {} : { ceiling: request.ceiling.map(pairJson) }),
    ...(request.details === undefined ? {} : { details: request.details }),
    ...(request.clientId === undefined ? {} : { client_id: request.clientId }),
    ...(request.requestedActor === undefined ? {} : { requested_actor: request.requestedActor }),
  };
  return {
    asked,
    learn(seenWorkload: Workload | undefined, seenEvidence: EvidenceFacts): void {
      workload = seenWorkload ?? workload;
      evidence = seenEvidence;
    },
    /** From here on it is known on whose authority everything is asked. */
    recognise(caller: Parameters<typeof authorityJson>[0]): void {
      authority = caller;
    },
    context: (): DenialContext => ({
      domainId,
      workloadId: workload?.id ?? null,
      verified: evidence !== undefined,
      facts: { asked, workload: workload?.name ?? null, ...(evidence === undefined ? {} : { evidence }), ...(authority === undefined ? {} : { authority: authorityJson(authority) }) },
    }),
  };
};
