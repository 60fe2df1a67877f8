package branches

import (
	"bufio"
	"io"
	"strconv"
	"strings"

	"aig/internal/ref"
)

// WritePorcelain writes the report in the porcelain format that docs/man/git-aig-sync.1 describes.
func (r *Report) WritePorcelain(w io.Writer) error {
	out := bufio.NewWriter(w)
	line := func(fields ...string) {
		out.WriteString(strings.Join(fields, " "))
		out.WriteByte('\n')
	}
	line("# aig refs 1")
	for _, b := range r.Branches {
		class := b.Class()
		onlyOurs, onlyTheirs := "-", "-"
		switch class {
		case UpToDate, FastForward, Behind, RequiresMerge:
			onlyOurs, onlyTheirs = strconv.Itoa(b.OnlyOurs), strconv.Itoa(b.OnlyTheirs)
		}
		line("ref", string(class), objectField(b.Ours), objectField(b.Theirs), onlyOurs, onlyTheirs, field(b.Name))
		if class == Unknown {
			line("why", field(b.why()))
		}
		for _, path := range b.Dirty {
			line("dirty", field(path))
		}
	}
	for _, tip := range r.Tips {
		line("tip", objectField(tip))
	}
	for _, tip := range r.Broken {
		line("broken", objectField(tip))
	}
	line("end")
	return out.Flush()
}

func objectField(name string) string {
	if !ref.IsObjectName(name) {
		return "-"
	}
	return name
}

// field returns s as a field without a space in it. If it begins with a quote, strconv.Unquote turns it back.
func field(s string) string {
	if ref.Plain(s) && s != "-" {
		return s
	}
	return strings.ReplaceAll(strconv.QuoteToASCII(s), " ", `\x20`)
}
