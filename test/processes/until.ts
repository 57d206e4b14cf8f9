/** Far more than it takes on a machine with nothing else to do, even where the job of a killed owner has to run out first: how soon is not what is tested. */
const CAP_MS = 60_000;
const PAUSE_MS = 25;

/** Polls until it is so. */
export const until = async (what: string, met: () => boolean | Promise<boolean>, capMs = CAP_MS): Promise<void> => {
  for (let waited = 0; waited < capMs; waited += PAUSE_MS) {
    if (await met()) return;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  throw new Error(`did not happen: ${what}`);
};
