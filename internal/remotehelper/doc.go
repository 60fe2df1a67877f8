// Package remotehelper speaks git's remote-helper line protocol (gitremote-helpers(7)) with the git that started the
// helper: git writes commands to our standard input, one a line, and reads the answers from our standard output.
//
// The package knows the lines and nothing of what is behind them: a Remote lists references and brings objects. It is a
// trust boundary all the same. What git writes is parsed strictly, and what a Remote lists was named by a stranger and
// is checked before git reads it.
//
// Capabilities offered: option, fetch, push, object-format, check-connectivity. Two of them need a word.
//
//   - push is offered so that it can be refused well: without it git says no more than "failed to push some refs",
//     with it each reference gets a line that says what to do instead. Nothing is opened for a push.
//   - check-connectivity lets a clone ask for "connectivity-ok". git (2.39 as 2.55) spares its own check only if a "lock"
//     line named one .keep file as well, which this package never writes; so git checks again, and the answer is information.
//
// connect and stateless-connect are not offered: with them git starts the helper a second time in one fetch to follow
// tags, and what a helper is started with may be good for one time only.
package remotehelper
