package t

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// words is a set of options, verbs or settings.
type words map[string]bool

// source is what a command's Go files define: its parser's options and those of them that are booleans, its usage texts, and the verbs
// that have one.
type source struct {
	options, booleans, verbs words
	usage                    string
}

// read reads a command's source. An option is the first string among the arguments of a method of `flags`.
func read(t *testing.T, dir string) source {
	t.Helper()
	s := source{options: words{}, booleans: words{}, verbs: words{}}
	files, err := filepath.Glob(dir + "/*.go")
	if err != nil {
		t.Fatal(err)
	}
	literal := func(e ast.Expr) (string, bool) {
		lit, ok := e.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return "", false
		}
		text, err := strconv.Unquote(lit.Value)
		return text, err == nil
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				method, ok := n.Fun.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				receiver, ok := method.X.(*ast.Ident)
				if !ok || receiver.Name != "flags" || !regexp.MustCompile(`^(Bool|String|Int|Duration|Count|Var)`).MatchString(method.Sel.Name) {
					return true
				}
				for _, arg := range n.Args {
					if name, ok := literal(arg); ok {
						s.options[name] = true
						s.booleans[name] = strings.HasPrefix(method.Sel.Name, "Bool")
						break
					}
				}
			case *ast.ValueSpec:
				for i, name := range n.Names {
					if i >= len(n.Values) {
						break
					}
					if table, ok := n.Values[i].(*ast.CompositeLit); ok && name.Name == "helpTexts" {
						for _, e := range table.Elts {
							if verb, ok := literal(e.(*ast.KeyValueExpr).Key); ok {
								s.verbs[verb] = true
							}
						}
					}
				}
			case *ast.BasicLit:
				if text, ok := literal(n); ok && strings.HasPrefix(text, "usage: ") {
					s.usage += text
				}
			}
			return true
		})
	}
	return s
}

// found collects what an expression's first group matches in a text; --[no-]word stands for two options.
func found(text, expression string) words {
	set := words{}
	for _, m := range regexp.MustCompile(expression).FindAllStringSubmatch(text, -1) {
		if name, both := strings.CutPrefix(m[1], "[no-]"); both {
			set[name], set["no-"+name] = true, true
		} else {
			set[m[1]] = true
		}
	}
	return set
}

func file(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// inManual returns the options that a page describes: those in the heads of its lists.
func inManual(t *testing.T, page string) words {
	text := regexp.MustCompile(`\\(-|f[BIRP])`).ReplaceAllStringFunc(file(t, "man/"+page), func(s string) string {
		if s == `\-` {
			return "-"
		}
		return ""
	})
	set := words{}
	for _, head := range regexp.MustCompile(`(?m)^\.TP\n(-.*)$`).FindAllStringSubmatch(text, -1) {
		maps.Copy(set, found(head[1], `--((?:\[no-\])?[a-z][a-z-]*)`))
	}
	return set
}

// compare compares the options that a text has with those that it should have; every boolean may also be there negated.
func compare(t *testing.T, where string, got, want, booleans words) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if !got[name] {
			t.Errorf("%s lacks %s", where, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if positive, negated := strings.CutPrefix(name, "no-"); !want[name] && !(negated && booleans[positive]) {
			t.Errorf("%s has %s, which the program doesn't", where, name)
		}
	}
}

// The usage, the manual and every completion have all options that the parser takes, and no others.
func TestOptionsAreDescribed(t *testing.T) {
	const inUsage = `(?m)^ +(?:-\w, |or: git aig-sync )?--((?:\[no-\])?[a-z][a-z-]*)`
	sync := read(t, "../cmd/git-aig-sync")
	if len(sync.options) < 10 || len(sync.verbs) == 0 {
		t.Fatalf("the source of git-aig-sync has options %v and verbs %v", sync.options, sync.verbs)
	}
	bash, zsh, fish := file(t, "completion/git-aig-sync.bash"), file(t, "completion/_git-aig-sync"), file(t, "completion/git-aig-sync.fish")
	_, listed, _ := strings.Cut(bash, `__gitcomp "`+"\n")
	listed, _, _ = strings.Cut(listed, `"`)
	manual := inManual(t, "git-aig-sync.1")
	compare(t, "git-aig-sync(1)", manual, sync.options, sync.booleans)
	want := maps.Clone(sync.options) // and the negations that the manual has
	maps.Copy(want, manual)
	compare(t, "the usage of git-aig-sync", found(sync.usage, inUsage), want, sync.booleans)
	compare(t, "bash's completion", found(listed, `--([a-z][a-z-]*)`), want, sync.booleans)
	compare(t, "zsh's completion", found(zsh, `(?m)^ *.*--([a-z][a-z-]*)=?\}?'?\[`), want, sync.booleans)
	compare(t, "fish's completion", found(fish, `(?m)^complete .* -l ([a-z][a-z-]*)`), want, sync.booleans)

	for _, completion := range []struct{ shell, text string }{{"bash", bash}, {"zsh", zsh}, {"fish", fish}} {
		for verb := range sync.verbs {
			if !regexp.MustCompile(`\b` + verb + `\b`).MatchString(completion.text) {
				t.Errorf("%s's completion lacks the verb %s", completion.shell, verb)
			}
		}
	}

	board := read(t, "../cmd/aig-switchboard")
	compare(t, "the usage of aig-switchboard", found(board.usage, inUsage), board.options, nil)
	compare(t, "aig-switchboard(8)", inManual(t, "aig-switchboard.8"), board.options, nil)
}

// The documents show no option that doesn't exist.
func TestOptionsOfTheDocumentsExist(t *testing.T) {
	programs := map[string]words{"aig-sync": read(t, "../cmd/git-aig-sync").options, "aig-switchboard": read(t, "../cmd/aig-switchboard").options}
	shown := 0
	for _, pattern := range []string{"../README.md", "../docs/*.md", "../docs/man/*", "../docs/systemd/*", "demo.sh"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			text = []byte(strings.ReplaceAll(string(text), `\-`, "-"))
			for _, m := range regexp.MustCompile(`\b(aig-sync|aig-switchboard) (?:invite |accept )?--([a-z][a-z-]*)`).FindAllSubmatch(text, -1) {
				shown++
				if !programs[string(m[1])][string(m[2])] {
					t.Errorf("%s shows %s", name, m[0])
				}
			}
		}
	}
	if shown < 10 {
		t.Errorf("only %d options are shown", shown)
	}
}

// aig-config(5) describes all that the programs read of aig's configuration and environment variables, and no others.
func TestSettingsAreDescribed(t *testing.T) {
	read := words{}
	setting := regexp.MustCompile(`"(?:.*\.)?(aig[A-Z][A-Za-z]+)"|"(aig\.[A-Za-z]+|AIG_[A-Z]+)[="]`)
	for _, dir := range []string{"../cmd", "../internal"} {
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(filepath.Dir(path), "test") {
				return err
			}
			source, err := os.ReadFile(path)
			for _, m := range setting.FindAllSubmatch(source, -1) {
				read[strings.ToLower(string(m[1])+string(m[2]))] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	described := words{}
	page := strings.ReplaceAll(file(t, "man/aig-config.5"), `\-`, "-")
	for _, head := range regexp.MustCompile(`(?m)^\.TP\n(.*)$`).FindAllStringSubmatch(page, -1) {
		for _, m := range regexp.MustCompile(`\\fB(?:remote\.<name>\.)?(aig\.?[A-Za-z]+|AIG_[A-Z]+)\\fR`).FindAllStringSubmatch(head[1], -1) {
			described[strings.ToLower(m[1])] = true
		}
	}
	if len(read) < 10 {
		t.Errorf("the source reads only %v", read)
	}
	compare(t, "aig-config(5)", described, read, nil)
}
