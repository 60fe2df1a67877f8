package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // registers itself
	_ "github.com/goreleaser/nfpm/v2/rpm" // registers itself
)

// packages writes the Debian and RPM packages that *.yaml here describe, from a filled stage.
func packages(out, stage string, src source, goarch string) error {
	if err := compress(stage); err != nil {
		return err
	}
	descriptions, err := filepath.Glob(filepath.Join(src.dir, "t/dist/*.yaml"))
	if err != nil {
		return err
	}
	if len(descriptions) == 0 {
		return fmt.Errorf("%s describes no packages", src.dir)
	}
	variables := map[string]string{"VERSION": src.version, "ARCH": goarch, "STAGE": stage, "SOURCE": src.dir}
	for _, description := range descriptions {
		text, err := os.ReadFile(description)
		if err != nil {
			return err
		}
		text = []byte(os.Expand(string(text), func(name string) string { return variables[name] }))
		config, err := nfpm.Parse(bytes.NewReader(text))
		if err != nil {
			return fmt.Errorf("%s: %w", description, err)
		}
		for _, kind := range []string{"deb", "rpm"} {
			info, err := config.Get(kind)
			if err != nil {
				return err
			}
			info.MTime = src.time
			info.RPM.BuildHost = "localhost"
			if err := writePackage(out, kind, nfpm.WithDefaults(info)); err != nil {
				return fmt.Errorf("%s of %s: %w", kind, info.Name, err)
			}
		}
	}
	return nil
}

// compress puts a compressed copy beside each manual and the changes: distributions want that form.
func compress(stage string) error {
	names, err := files(stage)
	if err != nil {
		return err
	}
	for _, name := range names {
		if name != "CHANGELOG.md" && !strings.HasPrefix(name, "share/man/") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(stage, name))
		if err != nil {
			return err
		}
		var short bytes.Buffer
		w, _ := gzip.NewWriterLevel(&short, gzip.BestCompression)
		if _, err := w.Write(data); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(stage, name+".gz"), short.Bytes(), 0o666); err != nil {
			return err
		}
	}
	return nil
}

func writePackage(out, kind string, info *nfpm.Info) error {
	if err := nfpm.PrepareForPackager(info, kind); err != nil {
		return err
	}
	packager, err := nfpm.Get(kind)
	if err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(out, packager.ConventionalFileName(info)))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := packager.Package(info, f); err != nil {
		return err
	}
	return f.Close()
}
