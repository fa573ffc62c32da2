"""The types that the attributes of ONNX's own operators have: one for a name, whatever the operator and its
operator set. ``to``, ``value``, ``seed`` and ``p`` had two and are not here, nor ``bias`` and ``scale``,
of which ONNX Runtime has others in ImageScaler and Crop.

Source: the schemas of onnx 1.23.2 (``get_all_schemas_with_history``), which ``tests/test_onnx_bad.py`` asks.
"""

NAMES = {
    1: (
        "alpha beta clip cubic_coeff_a epsilon extrapolation_value gamma height_scale high lambd low max "
        "mean min momentum ratio softcap spatial_scale value_float width_scale"
    ),
    2: (
        "align_corners allowzero antialias axis batch_axis batch_dims block_size blocksize broadcast "
        "ceil_mode center_point_box chunk_size count_include_pad detect_negative detect_positive dtype end "
        "exclude_outside exclusive fmod group hidden_size ignore_index input_forget interleaved inverse "
        "is_case_sensitive is_causal is_test k keepdims kv_num_heads largest layout left_window_size "
        "linear_before_reset max_gram_length max_skip_count maxsplit min_gram_length new_axis "
        "noop_with_empty_axes num_groups num_heads num_outputs num_scan_inputs offset_group onesided "
        "output_datatype output_dtype output_height output_sequence output_width periodic precision "
        "q_num_heads qk_matmul_output_mode reverse right_window_size rotary_embedding_dim sample_size "
        "sampling_ratio saturate select_last_index size softmax_precision sorted spatial start stash_type "
        "storage_order time_axis training_mode transA transB upper value_int"
    ),
    3: (
        "activation approximate auto_pad case_change_action coordinate_transformation_mode delimiter "
        "direction equation keep_aspect_ratio_policy locale mode nearest_mode padding_mode pattern "
        "pixel_format reduction round_mode update_rule value_string"
    ),
    5: "body else_branch then_branch",
    6: "activation_alpha activation_beta scales value_floats weights",
    7: (
        "axes consumed_inputs dilations directions ends kernel_shape ngram_counts ngram_indexes "
        "output_padding output_shape paddings pads perm pool_int64s pooled_shape scan_input_axes "
        "scan_input_directions scan_output_axes scan_output_directions shape split starts strides value_ints"
    ),
    8: "activations pool_strings stopwords value_strings",
    11: "sparse_value",
    13: "type",
}
"""``AttributeProto.AttributeType`` -> the names."""
KINDS = {name: kind for kind, names in NAMES.items() for name in names.split()}
