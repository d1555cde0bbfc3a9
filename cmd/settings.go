package cmd

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/store"
	"github.com/plateau-nas/plateau/runtime"
)

// settings say where things are and how to compute. They come from flags, PLATEAU_* variables and a configuration file, in
// this order, and never change what a document means.
type settings struct {
	Library  string // of ONNX Runtime
	Provider string
	Threads  int
	CacheDir string
	Store    string
	LogLevel slog.Level
}

// settingNames are the flags that may also be given as PLATEAU_NAME or in the configuration file.
var settingNames = [...]string{"onnxruntime", "provider", "threads", "cache-dir", "store", "log-level"}

func addSettingsFlags(f *pflag.FlagSet) {
	f.String("onnxruntime", "", "ONNX Runtime's shared library; found or fetched when not given")
	f.String("provider", runtime.ProviderAuto, "execution provider: "+strings.Join(runtime.Providers(), ", "))
	f.Int("threads", 0, "threads to compute with; 0 for all cores")
	f.String("cache-dir", "", "folder for what can be made or fetched again (default the user's cache directory, plateau)")
	f.String("store", "", "folder of the results of stages (default CACHE-DIR/store)")
	f.String("log-level", "info", "what stages may say: debug, info, warn, error")
	f.String("config", "", "configuration file (default plateau/config.yaml in the user's configuration directory)")
}

// loadSettings reads the settings. Mistakes are usage errors that say where the value came from.
func loadSettings(flags *pflag.FlagSet) (settings, error) {
	v := viper.New()
	v.SetEnvPrefix("PLATEAU")
	v.SetEnvKeyReplacer(strings.NewReplacer("-", "_"))
	for _, name := range settingNames {
		if err := errors.Join(v.BindPFlag(name, flags.Lookup(name)), v.BindEnv(name)); err != nil {
			return settings{}, err
		}
	}
	file, err := readConfigFile(v, flags)
	if err != nil {
		return settings{}, &usageError{err}
	}
	// from says where a value came from, for messages.
	from := func(name string) string {
		variable := "PLATEAU_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		switch {
		case flags.Changed(name):
			return "--" + name
		case os.Getenv(variable) != "": // viper takes an empty variable for none
			return variable
		default:
			return name + " in " + file
		}
	}
	s := settings{
		Library: v.GetString("onnxruntime"), Provider: v.GetString("provider"), CacheDir: v.GetString("cache-dir"), Store: v.GetString("store"),
	}
	if s.Threads, err = strconv.Atoi(v.GetString("threads")); err != nil || s.Threads < 0 {
		return settings{}, usagef("%s must be 0 or a number of threads, found %q", from("threads"), v.GetString("threads"))
	}
	if !slices.Contains(runtime.Providers(), s.Provider) {
		return settings{}, usagef("%s: there is no provider %q; %s", from("provider"), s.Provider, pipeline.Suggest(s.Provider, "providers", runtime.Providers()))
	}
	if err := s.LogLevel.UnmarshalText([]byte(v.GetString("log-level"))); err != nil {
		return settings{}, usagef("%s must be debug, info, warn or error, found %q", from("log-level"), v.GetString("log-level"))
	}
	return s, nil
}

// readConfigFile reads the configuration file into v, and returns its path. A missing file is an error only when it was named.
func readConfigFile(v *viper.Viper, flags *pflag.FlagSet) (string, error) {
	file, err := flags.GetString("config")
	if err != nil {
		return "", err
	}
	named := file != ""
	if !named {
		dir, err := os.UserConfigDir()
		if err != nil {
			return "", nil // no home, no file
		}
		file = filepath.Join(dir, "plateau", "config.yaml")
	}
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return file, nil
	}
	if err != nil {
		return file, fmt.Errorf("reading the configuration file: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	v.SetConfigType("yaml")
	if err := v.ReadConfig(f); err != nil {
		return file, fmt.Errorf("reading the configuration file %s: %w", file, err)
	}
	for _, key := range v.AllKeys() {
		if !slices.Contains(settingNames[:], key) {
			return file, fmt.Errorf("the configuration file %s has an unknown key %q; %s", file, key, pipeline.Suggest(key, "keys", settingNames[:]))
		}
	}
	return file, nil
}

func (s settings) storeDir() (string, error) {
	switch {
	case s.Store != "":
		return s.Store, nil
	case s.CacheDir != "":
		return filepath.Join(s.CacheDir, "store"), nil
	}
	return store.DefaultDir()
}
