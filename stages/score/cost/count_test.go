package cost

import (
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// What is added up is what the network of an architecture measures, operations that nobody sees included.
func TestSizesAddUp(t *testing.T) {
	declared, err := space.Declaration{Name: "wide", Nodes: 4, Edges: []string{"1<-0", "2<-0", "2<-1", "3<-1", "3<-2"}, Operations: []string{"sep_conv_5x5", "nor_conv_3x3_d2_hardswish", "none", "max_pool_3x3"}}.Space()
	if err != nil {
		t.Fatal(err)
	}
	weighty, err := space.Declaration{Name: "weighty", Nodes: 3, Operations: []string{"sep_conv_3x3", "nor_conv_1x1"}}.Space()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		space *space.Space
		cells int
	}{{space.NASBench201(), 2}, {declared, 1}, {weighty, 1}, {space.DARTS(), 4}} {
		m := supernet.Macro{Channels: 4, Cells: c.cells, Classes: 10, Image: [3]int{3, 16, 16}}
		counter, err := NewCounter(c.space, m)
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(1, 2))
		for range 25 {
			a := c.space.Random(rng)
			want, err := measure(c.space, m, a)
			if err != nil {
				t.Fatal(err)
			}
			if got := counter.Of(a); got != want {
				t.Errorf("%s: counted %+v, the network has %+v", c.space.Format(a), got, want)
			}
			if all, useful := counter.All(a), counter.Useful(a); all.MultiplyAdds < want.MultiplyAdds || useful > want.MultiplyAdds {
				t.Errorf("%s: %d multiply-adds, %d of all operations, %d useful", c.space.Format(a), want.MultiplyAdds, all.MultiplyAdds, useful)
			}
		}
	}
}

// Convolutions of zeros, and those that nobody uses, are not useful.
func TestUsefulMultiplyAdds(t *testing.T) {
	s := space.NASBench201()
	counter, err := NewCounter(s, supernet.Macro{Channels: 16, Cells: 5, Classes: 10, Image: [3]int{3, 32, 32}})
	if err != nil {
		t.Fatal(err)
	}
	conv := func(n int64) int64 { return counter.Base().MultiplyAdds + n*15*9*16*16*32*32 }
	for _, c := range []struct {
		arch            string
		useful, all, of int64 // convolutions
	}{
		{"|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|", 6, 6, 6},
		{"|none~0|+|none~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|", 1, 4, 4},
		{"|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|none~1|none~2|", 1, 4, 1},
		{"|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|none~2|", 0, 2, 0},
	} {
		a, err := s.Parse(c.arch)
		if err != nil {
			t.Fatal(err)
		}
		got := []int64{counter.Useful(a), counter.All(a).MultiplyAdds, counter.Of(a).MultiplyAdds}
		if want := []int64{conv(c.useful), conv(c.all), conv(c.of)}; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", c.arch, got, want)
		}
	}
}

// The benchmark's own table counts every convolution of the string, and adds the biases of the classifier.
func TestSizesOfThePublicTable(t *testing.T) {
	f, err := os.Open(filepath.Join("..", "..", "..", "..", "shared", "data", "nasbench201", "cost.csv"))
	if err != nil {
		t.Skipf("the public table is not here: %v", err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	arch, parameters, operations := slices.Index(rows[0], "arch"), slices.Index(rows[0], "cifar10_params"), slices.Index(rows[0], "cifar10_flops_nb201")
	s := space.NASBench201()
	counter, err := NewCounter(s, supernet.Macro{Channels: 16, Cells: 5, Classes: 10, Image: [3]int{3, 32, 32}})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows[1:] {
		a, err := s.Parse(row[arch])
		if err != nil {
			t.Fatal(err)
		}
		size := counter.All(a)
		if got, want := []string{fmt.Sprint(size.Parameters), fmt.Sprint(size.MultiplyAdds + 10)}, []string{row[parameters], row[operations]}; !slices.Equal(got, want) {
			t.Fatalf("%s: %v, the table has %v", row[arch], got, want)
		}
	}
}
