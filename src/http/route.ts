import type { Request, RequestHandler, Response } from 'express';

/** Who may call: told on each row, so that adding a route without thinking about it does not compile. */
export type RouteCaller = 'anyone' | 'holder of evidence or a session token' | 'resource server with a token' | 'holder of the credential' | 'transmitter of events' | 'event receiver with a token' | 'admin';

/** True when the caller is known and may go on; false when the answer has been sent, and what follows is read no further. */
export type Identify = (request: Request, response: Response) => Promise<boolean>;

interface RouteRow {
  readonly method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  readonly path: string;
  /** `address`: counted against the rate limit by address. */
  readonly limit: 'address' | 'none';
  /** Name in metrics and logs. */
  readonly name: string;
  /** What the body is: a form kept as text, a security event token kept as text, JSON, or nothing. */
  readonly body: 'form' | 'set' | 'json' | 'none';
  readonly handle: RequestHandler;
}

/** An admin's body may be large, so who sends it is asked first. Forms are small, and hold the credentials themselves. */
export type Route = RouteRow & (
  | { readonly caller: 'admin'; readonly identify: Identify }
  | { readonly caller: Exclude<RouteCaller, 'admin'>; readonly identify?: never }
);

/** Express cannot know the parameters a path has; a route's handler names those it reads. */
export const handler = <P>(handle: (request: Request<P>, response: Response) => Promise<void> | void): RequestHandler =>
  (request, response) => handle(request as unknown as Request<P>, response);
