package switchboard

import "time"

// What a client may send, and when: what a meter counts against.
const (
	// handshakeBudget is how much a client may send in its handshake, in bytes
	// on the wire. OpenSSH sends five thousand. It is small because SSH takes
	// the names in a key exchange's offer apart before it looks at them, and a
	// comma costs 16 bytes of memory.
	handshakeBudget = 16 << 10

	// keyedBudget is how much of that a client may send between the answer to
	// its key exchange and its authentication: its new keys in 16 bytes, and 16
	// packets of at least 28. The clients known send 300 bytes. What makes it a
	// limit is x/crypto, see sshguard: the queue can't be had before.
	keyedBudget = 16 + 16*28

	// openingBudget is how much a client may send from there until its command
	// is known: what comes directly behind a command, before that is looked at.
	openingBudget = 64 << 10

	// A packet is large if x/crypto reads more of it at once, in bytes; what is
	// smaller goes through a buffer of 4 KiB. Once there is a command it is one
	// that is larger than any that SSH obliges us to take (RFC 4253, section
	// 6.1); before, it is one that is larger than has to be for a command of ours.
	largeRead        = 35_000
	largeOpeningRead = 8 << 10

	// largeBudget is what a client may send beyond openingBudget if it may
	// send a large packet: a command, which is answered however long it is.
	// x/crypto takes no packet of more than 256 KiB.
	largeBudget = 272 << 10

	// maxLarge is how many clients may be sending large packets before their
	// commands at the same time. Others wait.
	maxLarge = 16

	// backlogBudget is how much of one client may lie here unread, in bytes on
	// the wire. SSH's window holds 2 MiB of data, but a client may send it in
	// packets of one byte, and each costs x/crypto about 64 bytes of memory
	// for its 36 on the wire. So what is bounded is the wire: full windows in
	// packets of at least 72 bytes pass, and memory stays below twice this
	// figure, where the window alone would allow 128 MiB.
	backlogBudget = 3 << 20

	// writesInPlain is how often x/crypto writes before it answers to a key
	// exchange: its version, its offer of algorithms.
	writesInPlain = 2

	// farewellTime is how long a line may take to go to a client that is being
	// sent away. There is room for it in the system's buffers, as a rule.
	farewellTime = 100 * time.Millisecond
)
