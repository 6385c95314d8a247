/** What to try first; the lines can be pasted into a shell as they are. */
export function welcome(url: string, database: string): string {
  const auth = `-H 'Authorization: Bearer demo-ada'`;
  const key = `-H "Idempotency-Key: try-$(date +%s%N)"`;
  const taskId = String.raw`sed 's/.*"taskId":"\([^"]*\)".*/\1/'`;
  const suspendId = String.raw`sed 's/.*"suspendId":"\([^"]*\)".*/\1/'`;
  return `
TaskBridge sample on ${url}
Database: ${database}
You are whoever you say: "Authorization: Bearer demo-<name>".

Start a task and keep its id:
  TASK=$(curl -s ${url}/api/v1/tasks ${auth} ${key} -H 'Content-Type: application/json' -d '{"taskType":"demo.ticks","input":{"ticks":20,"delayMs":500}}' | ${taskId})
Follow it; stop with Ctrl-C at any event n and go on after it with -H 'Last-Event-ID: n-0':
  curl -N ${auth} ${url}/api/v1/tasks/$TASK/events/stream
Look at it, or cancel it:
  curl -s ${auth} ${url}/api/v1/tasks/$TASK
  curl -s ${auth} -X POST ${url}/api/v1/tasks/$TASK/cancel
Import contacts from a CSV file, then answer its question:
  TASK=$(curl -s ${url}/api/v1/tasks ${auth} ${key} -F taskType=contacts.import -F 'attachment=@sample/data/contacts-5000.csv;type=text/csv' | ${taskId})
  ASKED=$(curl -s ${auth} ${url}/api/v1/tasks/$TASK | ${suspendId})
  curl -s ${auth} -H 'Content-Type: application/json' ${url}/api/v1/tasks/$TASK/actions -d '{"clientActionId":"yes","suspendId":"'$ASKED'","actionType":"import_valid"}'
The same with a progress bar, in another terminal: npm run demo
In a browser: ${url}/page
`;
}
