package main

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
)

// libraryDirs is where the dynamic linker looks without being told: first Debian's directories, with
// the machine's triplet, then those of the other distributions.
func libraryDirs(machine elf.Machine) []string {
	triplet := map[elf.Machine]string{elf.EM_X86_64: "x86_64-linux-gnu", elf.EM_AARCH64: "aarch64-linux-gnu"}[machine]
	return []string{"/lib/" + triplet, "/usr/lib/" + triplet, "/lib64", "/usr/lib64", "/lib", "/usr/lib"}
}

func machineOf(file string) (elf.Machine, error) {
	f, err := elf.Open(file)
	if err != nil {
		return 0, fmt.Errorf("reading %s, which must be an ELF file: %w", file, err)
	}
	defer func() { _ = f.Close() }()
	return f.Machine, nil
}

// closure returns the sorted paths, on this machine, of the interpreter of program and of every
// library that program, the plugin that it loads, or one of these libraries needs.
func closure(program, plugin string) ([]string, error) {
	machine, err := machineOf(program)
	if err != nil {
		return nil, err
	}
	found := map[string]string{} // library name → path
	for queue := []string{program, plugin}; len(queue) > 0; queue = queue[1:] {
		interpreter, needed, err := dependencies(queue[0], machine)
		if err != nil {
			return nil, err
		}
		// A library that is run as a program names an interpreter too; only the program's counts.
		if interpreter != "" && queue[0] == program {
			found[path.Base(interpreter)] = interpreter
		}
		for _, name := range needed {
			if found[name] != "" {
				continue
			}
			dir := slices.IndexFunc(libraryDirs(machine), func(dir string) bool {
				other, err := machineOf(path.Join(dir, name))
				return err == nil && other == machine
			})
			if dir < 0 {
				return nil, fmt.Errorf("looking for %s, which %s needs: it is in none of %s; install it on this machine",
					name, queue[0], strings.Join(libraryDirs(machine), ", "))
			}
			found[name] = path.Join(libraryDirs(machine)[dir], name)
			queue = append(queue, found[name])
		}
	}
	paths := make([]string, 0, len(found))
	for _, p := range found {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return paths, nil
}

func dependencies(file string, machine elf.Machine) (interpreter string, needed []string, err error) {
	f, err := elf.Open(file)
	if err != nil {
		return "", nil, fmt.Errorf("reading %s, which must be an ELF file: %w", file, err)
	}
	defer func() { _ = f.Close() }()
	if f.Machine != machine {
		return "", nil, fmt.Errorf("reading %s: it is for %s, the program for %s", file, f.Machine, machine)
	}
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		text := make([]byte, p.Filesz)
		if _, err := p.ReadAt(text, 0); err != nil {
			return "", nil, fmt.Errorf("reading the interpreter's name in %s: %w", file, err)
		}
		interpreter = string(bytes.TrimRight(text, "\x00"))
		if _, err := os.Stat(interpreter); err != nil {
			return "", nil, fmt.Errorf("looking for the interpreter of %s: %w", file, err)
		}
	}
	needed, err = f.ImportedLibraries()
	if err != nil {
		return "", nil, fmt.Errorf("reading what %s needs: %w", file, err)
	}
	return interpreter, needed, nil
}
