package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// module is a module that is linked into a program.
type module struct {
	path, version, licence string
	text                   []byte
}

// linked returns the modules whose packages are in the programs for any of the targets, Go's standard library included.
func linked(src source, targets []string) ([]module, error) {
	found := make(map[string]module)
	for _, target := range targets {
		goos, goarch, _ := strings.Cut(target, "/")
		list, err := output(src.dir, []string{"CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOOS=" + goos, "GOARCH=" + goarch},
			"go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}", "./cmd/...")
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(list) {
			words := strings.SplitN(strings.TrimSpace(line), " ", 3)
			if _, known := found[words[0]]; known || len(words) < 3 {
				continue
			}
			m := module{path: words[0], version: words[1]}
			if m.text, err = licenceText(words[2]); err != nil {
				return nil, err
			}
			if m.licence = licence(m.text); m.licence == "" {
				return nil, fmt.Errorf("%s has a licence that licences.go doesn't know", words[2])
			}
			found[m.path] = m
		}
	}
	// The standard library's licence is word for word that of golang.org/x, and isn't found beside its packages.
	gopher, ok := found["golang.org/x/crypto"]
	if !ok {
		return nil, fmt.Errorf("nothing uses golang.org/x/crypto, whose licence is that of Go")
	}
	found["std"] = module{path: "std", version: strings.TrimPrefix(runtime.Version(), "go"), licence: gopher.licence, text: gopher.text}
	modules := make([]module, 0, len(found))
	for _, m := range found {
		modules = append(modules, m)
	}
	slices.SortFunc(modules, func(a, b module) int { return cmp.Compare(a.path, b.path) })
	return modules, nil
}

// licenceText returns the licence files of a module, one after the other.
func licenceText(dir string) ([]byte, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	name := regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying|notice)`)
	var text []byte
	for _, e := range entries {
		if !e.Type().IsRegular() || !name.MatchString(e.Name()) {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		text = append(text, data...)
	}
	return text, nil
}

// licence returns the SPDX identifier for a licence's text, or "".
func licence(text []byte) string {
	words := strings.Join(strings.Fields(string(text)), " ")
	for _, l := range []struct{ phrase, id string }{
		{"Apache License Version 2.0", "Apache-2.0"},
		{"Mozilla Public License Version 2.0", "MPL-2.0"},
		{"Permission is hereby granted, free of charge", "MIT"},
		{"Permission to use, copy, modify, and", "ISC"},
		{"Neither the name of", "BSD-3-Clause"},
		{"Redistribution and use in source and binary forms", "BSD-2-Clause"},
		{"CC0 1.0 Universal", "CC0-1.0"},
	} {
		if strings.Contains(words, l.phrase) {
			return l.id
		}
	}
	return ""
}

// notices returns the copyright notices that must accompany the programs.
func notices(modules []module) []byte {
	var b bytes.Buffer
	b.WriteString("The programs contain these modules, each under the licence that follows its name.\n")
	for _, m := range modules {
		fmt.Fprintf(&b, "\n%s\n%s %s (%s)\n\n%s\n", strings.Repeat("=", 80), m.path, m.version, m.licence, bytes.TrimSpace(m.text))
	}
	return b.Bytes()
}

// writeSPDX writes the list of modules and licences as an SPDX 2.3 document.
func writeSPDX(file string, src source, modules []module) error {
	type object = map[string]any
	name := "aig-" + src.version
	packages := []object{{
		"SPDXID": "SPDXRef-aig", "name": "aig", "versionInfo": src.version, "downloadLocation": "NOASSERTION", "filesAnalyzed": false,
		"licenseConcluded": "ISC", "licenseDeclared": "ISC", "copyrightText": "NOASSERTION", "sourceInfo": "commit " + src.commit,
	}}
	relations := []object{{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-aig"}}
	for _, m := range modules {
		id := "SPDXRef-" + regexp.MustCompile(`[^A-Za-z0-9.-]`).ReplaceAllString(m.path, "-")
		packages = append(packages, object{
			"SPDXID": id, "name": m.path, "versionInfo": m.version, "downloadLocation": "NOASSERTION", "filesAnalyzed": false,
			"licenseConcluded": m.licence, "licenseDeclared": m.licence, "copyrightText": "NOASSERTION",
			"externalRefs": []object{{
				"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "pkg:golang/" + m.path + "@" + m.version,
			}},
		})
		relations = append(relations, object{"spdxElementId": "SPDXRef-aig", "relationshipType": "STATIC_LINK", "relatedSpdxElement": id})
	}
	document, err := json.MarshalIndent(object{
		"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": name,
		"documentNamespace": "https://spdx.org/spdxdocs/" + name + "-" + src.commit,
		"creationInfo":      object{"created": src.time.Format("2006-01-02T15:04:05Z"), "creators": []string{"Tool: aig-dist"}},
		"packages":          packages, "relationships": relations,
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(document, '\n'), 0o666)
}
