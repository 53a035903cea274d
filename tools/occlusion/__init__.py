"""How the occlusion network is made: faces, things painted before them, the network."""
