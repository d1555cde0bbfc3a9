package space

// Named is an architecture that a publication has given a name.
type Named struct {
	Name         string
	Architecture Architecture
}

// Published returns the architectures of the space that publications have named, the one that others are compared with first: in
// NAS-Bench-201 the cell of ResNet and the one with a 3x3 convolution on every edge (Dong and Yang, ICLR 2020; AutoDL-Projects,
// xautodl/models/cell_searchs/genotypes.py), in the DARTS space what its authors and those of PC-DARTS have found. In the space of
// plain networks they are all there is, and it is empty for spaces of one's own.
func (s *Space) Published() []Named {
	type text struct{ name, cell string }
	var known []text
	switch s.Reference() {
	case "nasbench201":
		known = []text{
			{"resnet", "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"},
			{"all_c3x3", "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"},
		}
	case plainName:
		known = []text{{ResNet9, ResNet9}}
	case "darts":
		known = []text{{"DARTS_V2", "DARTS_V2"}, {"DARTS_V1", "DARTS_V1"}, {"PC_DARTS_cifar", "PC_DARTS_cifar"}}
	}
	var out []Named
	for _, k := range known {
		if a, err := s.Parse(k.cell); err == nil {
			out = append(out, Named{k.name, a})
		}
	}
	return out
}
