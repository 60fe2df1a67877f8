package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// add appends a file to an archive.
type add func(name string, mode int64, data []byte) error

// format starts an archive that is written to w, in which every file has the same time. It returns how to add a file and how to end.
type format func(w io.Writer, mtime time.Time) (add, func() error)

// archive writes a directory into a file, with root as owner and fixed modes, whatever the umask was.
func archive(file, stage string, mtime time.Time, start format) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	names, err := files(stage)
	if err != nil {
		return err
	}
	add, end := start(f, mtime)
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(stage, name))
		if err != nil {
			return err
		}
		mode := int64(0o644)
		if strings.HasPrefix(name, "bin/") {
			mode = 0o755
		}
		if err := add(path.Join(filepath.Base(stage), name), mode, data); err != nil {
			return err
		}
	}
	return errors.Join(end(), f.Close())
}

func writeTar(w io.Writer, mtime time.Time) (add, func() error) {
	compressed, _ := gzip.NewWriterLevel(w, gzip.BestCompression)
	t := tar.NewWriter(compressed)
	add := func(name string, mode int64, data []byte) error {
		header := &tar.Header{
			Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(data)), ModTime: mtime, Uname: "root", Gname: "root", Format: tar.FormatUSTAR,
		}
		if err := t.WriteHeader(header); err != nil {
			return err
		}
		_, err := t.Write(data)
		return err
	}
	return add, func() error { return errors.Join(t.Close(), compressed.Close()) }
}

func writeZip(w io.Writer, mtime time.Time) (add, func() error) {
	z := zip.NewWriter(w)
	add := func(name string, mode int64, data []byte) error {
		header := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: mtime}
		header.SetMode(os.FileMode(mode))
		f, err := z.CreateHeader(header)
		if err != nil {
			return err
		}
		_, err = f.Write(data)
		return err
	}
	return add, z.Close
}
