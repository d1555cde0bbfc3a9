package runtime

import (
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// inspect reads the headers of a shared library without loading it: loading a truncated file can end the process,
// and one of another version prints to the terminal and leaves threads behind. It checks the format, the
// processor and that the file is whole, and returns the version that the file states, or "" where it states none.
func inspect(path string, p platform) (version string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("it is not a regular file")}
	}
	switch p.os {
	case "darwin":
		return inspectMachO(path, info.Size(), p.arch)
	case "windows":
		return inspectPE(path, info.Size(), p.arch)
	default:
		return inspectELF(path, info.Size(), p.arch)
	}
}

func inspectELF(path string, size int64, arch string) (string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return "", fmt.Errorf("it is not an ELF shared library: %w", err)
	}
	defer f.Close()
	machine := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "riscv64": elf.EM_RISCV, "ppc64le": elf.EM_PPC64}[arch]
	if f.Type != elf.ET_DYN {
		return "", fmt.Errorf("it is an ELF file of type %v, not a shared library", f.Type)
	}
	if machine != elf.EM_NONE && f.Machine != machine {
		return "", fmt.Errorf("it is built for %v, this program for %v", f.Machine, machine)
	}
	for _, s := range f.Progs {
		if s.Type == elf.PT_LOAD && s.Off+s.Filesz > uint64(size) {
			return "", fmt.Errorf("it is truncated: %d bytes, at least %d expected", size, s.Off+s.Filesz)
		}
	}
	symbols, err := f.DynamicSymbols()
	if err != nil {
		return "", fmt.Errorf("read its symbols: %w", err)
	}
	exported := false
	for _, s := range symbols {
		exported = exported || s.Name == "OrtGetApiBase" && s.Section != elf.SHN_UNDEF
	}
	if !exported {
		return "", fmt.Errorf("it does not export OrtGetApiBase, so it is not ONNX Runtime")
	}
	// ONNX Runtime is linked with a version script whose only node is named after its version.
	versions, err := f.DynamicVersions()
	if err != nil {
		return "", nil // built without the version script: the version is known once it is loaded
	}
	for _, v := range versions {
		if after, ok := strings.CutPrefix(v.Name, "VERS_"); ok {
			return after, nil
		}
	}
	return "", nil
}

func inspectMachO(path string, size int64, arch string) (string, error) {
	cpu := map[string]macho.Cpu{"amd64": macho.CpuAmd64, "arm64": macho.CpuArm64}[arch]
	var f *macho.File
	if fat, err := macho.OpenFat(path); err == nil {
		defer fat.Close()
		for _, a := range fat.Arches {
			if a.Cpu == cpu {
				f = a.File
				size = int64(a.Size)
			}
		}
		if f == nil {
			return "", fmt.Errorf("it holds no code for %s", arch)
		}
	} else {
		thin, err := macho.Open(path)
		if err != nil {
			return "", fmt.Errorf("it is not a Mach-O shared library: %w", err)
		}
		defer thin.Close()
		f = thin
	}
	if f.Cpu != cpu {
		return "", fmt.Errorf("it is built for %v, this program for %v", f.Cpu, cpu)
	}
	version := ""
	for _, l := range f.Loads {
		if s, ok := l.(*macho.Segment); ok && s.Offset+s.Filesz > uint64(size) {
			return "", fmt.Errorf("it is truncated: %d bytes, at least %d expected", size, s.Offset+s.Filesz)
		}
		// LC_ID_DYLIB states the library's own version, 16.8.8 bits, at byte 16 of the command.
		const idDylib = 0xd
		if raw := l.Raw(); len(raw) >= 20 && f.ByteOrder.Uint32(raw) == idDylib {
			v := f.ByteOrder.Uint32(raw[16:])
			version = fmt.Sprintf("%d.%d.%d", v>>16, v>>8&0xff, v&0xff)
		}
	}
	return version, nil
}

func inspectPE(path string, size int64, arch string) (string, error) {
	f, err := pe.Open(path)
	if err != nil {
		return "", fmt.Errorf("it is not a Windows library: %w", err)
	}
	defer f.Close()
	machine := map[string]uint16{"amd64": pe.IMAGE_FILE_MACHINE_AMD64, "arm64": pe.IMAGE_FILE_MACHINE_ARM64}[arch]
	if f.Machine != machine {
		return "", fmt.Errorf("it is built for machine 0x%x, this program for 0x%x", f.Machine, machine)
	}
	for _, s := range f.Sections {
		if int64(s.Offset)+int64(s.Size) > size {
			return "", fmt.Errorf("it is truncated: %d bytes, at least %d expected", size, int64(s.Offset)+int64(s.Size))
		}
	}
	resources := f.Section(".rsrc")
	if resources == nil {
		return "", nil
	}
	data, err := resources.Data()
	if err != nil {
		return "", fmt.Errorf("read its resources: %w", err)
	}
	return fixedFileVersion(data), nil
}

// fixedFileVersion finds the version in a Windows resource section, where VS_FIXEDFILEINFO begins with a signature.
func fixedFileVersion(data []byte) string {
	signature := string(binary.LittleEndian.AppendUint32(nil, 0xFEEF04BD))
	at := strings.Index(string(data), signature)
	if at < 0 || len(data) < at+16 {
		return ""
	}
	high, low := binary.LittleEndian.Uint32(data[at+8:]), binary.LittleEndian.Uint32(data[at+12:])
	return fmt.Sprintf("%d.%d.%d", high>>16, high&0xffff, low>>16)
}

// sameMinor reports whether two versions agree in their first two numbers, which is what the C interface depends on.
func sameMinor(a, b string) bool {
	minor := func(v string) string {
		parts := strings.SplitN(v, ".", 3)
		if len(parts) < 2 {
			return v
		}
		return parts[0] + "." + parts[1]
	}
	return minor(a) == minor(b)
}
