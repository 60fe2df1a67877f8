// Command dist makes the release files of a commit: archives for every system, Debian and RPM packages, the list of modules
// and licences, and the checksums of them all. The same commit and Go give the same bytes, wherever and whenever it runs.
package main

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	repo := flag.String("C", "../..", "the clone whose HEAD is built")
	out := flag.String("o", "../../dist", "where the files go; what was there goes")
	targets := flag.String("targets", "linux/amd64,linux/arm64,darwin/amd64,darwin/arm64,freebsd/amd64,freebsd/arm64,windows/amd64,windows/arm64",
		"the systems to build for")
	flag.Parse()
	if err := run(*repo, *out, strings.Split(*targets, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "fatal:", err)
		os.Exit(1)
	}
}

// run makes all release files of repo's HEAD in the directory out.
func run(repo, out string, targets []string) error {
	work, err := os.MkdirTemp("", "aig-dist-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	src, err := export(repo, filepath.Join(work, "src"))
	if err != nil {
		return err
	}
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o777); err != nil {
		return err
	}
	modules, err := linked(src, targets)
	if err != nil {
		return err
	}
	for _, target := range targets {
		goos, goarch, _ := strings.Cut(target, "/")
		name := fmt.Sprintf("aig-%s-%s-%s", src.version, goos, goarch)
		stage := filepath.Join(work, name)
		if err := fill(stage, src, goos, goarch, modules); err != nil {
			return err
		}
		pack, suffix := writeTar, ".tar.gz"
		if goos == "windows" {
			pack, suffix = writeZip, ".zip"
		}
		if err := archive(filepath.Join(out, name+suffix), stage, src.time, pack); err != nil {
			return err
		}
		if goos == "linux" {
			if err := packages(out, stage, src, goarch); err != nil {
				return err
			}
		}
	}
	if err := writeSPDX(filepath.Join(out, "aig-"+src.version+".spdx.json"), src, modules); err != nil {
		return err
	}
	return writeSums(out)
}

// writeSums writes SHA256SUMS, for sha256sum -c.
func writeSums(out string) error {
	entries, err := os.ReadDir(out)
	if err != nil {
		return err
	}
	var sums []string
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(out, e.Name()))
		if err != nil {
			return err
		}
		sums = append(sums, fmt.Sprintf("%x  %s\n", sha256.Sum256(data), e.Name()))
		fmt.Println(filepath.Join(out, e.Name()))
	}
	slices.SortFunc(sums, func(a, b string) int { return strings.Compare(a[66:], b[66:]) })
	return os.WriteFile(filepath.Join(out, "SHA256SUMS"), []byte(strings.Join(sums, "")), 0o666)
}
