import { detailRules } from '../authority/details.ts';
import type { DetailRules } from '../authority/details.ts';
import type { RulesAt } from '../authority/narrow.ts';
import type { DomainView } from '../snapshot/domain-view.ts';

/** The types of details that each audience understands as the registry stands now; those of a resource that is gone nobody understands. */
export const rulesAt = (view: Pick<DomainView, 'resource'>): RulesAt => (audience): DetailRules => detailRules(view.resource(audience)?.details);
