// Package strands is the vocabulary and the loop of an agent framework in
// which the model acts by writing Python.
//
// An Agent is a definition, made once from a Config and never changed. A
// Session is a conversation with it, in one run at a time. A run is a sequence
// of Events: what the model writes, the tools it calls, what they show, the
// messages added to the history, and the Result.
//
// # The Run contract
//
// Session.Run returns a sequence that can be ranged over once.
//
//   - Nothing happens before the first iteration.
//   - All events arrive on the goroutine that ranges. Hooks and tools run on
//     others.
//   - There is at most one error and it is last. Without an error the last
//     event has a Result.
//   - Leaving the loop, a panic in its body, and the end of ctx stop
//     everything the run started, and wait for it: no goroutine outlives the
//     call. Tools get a cancelled context and must return.
//   - Whenever a run has stopped the history is valid: every tool call in it
//     has its result, made up where the tool did not come to one. While a run
//     is interrupted the finished results wait in Session.Pending.
//   - A second run of the same session at the same time fails at once with
//     ErrConcurrentInvocation and does nothing.
package strands
